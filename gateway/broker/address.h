/* address.h: socket addresses: the port, and text for the record. */
#ifndef SALLYPORT_BROKER_ADDRESS_H
#define SALLYPORT_BROKER_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 56

void address_set_port(struct sockaddr_storage *address, uint16_t port);
/* "10.1.2.3:443", "[2001:db8::1]:443". */
void address_text(const struct sockaddr *address, char *out_text, size_t capacity);

#endif
