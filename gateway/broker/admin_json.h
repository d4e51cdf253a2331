/* admin_json.h: what the admin socket shows, as JSON. Times are RFC 3339; null where there is none. */
#ifndef SALLYPORT_BROKER_ADMIN_JSON_H
#define SALLYPORT_BROKER_ADMIN_JSON_H

#include <jansson.h>

#include "audit.h"
#include "broker.h"
#include "registry.h"
#include "session.h"
#include "tunnel.h"

json_t *admin_json_time(uint64_t wall_ms);
/* One item a line, as an array. */
json_t *admin_json_lines(const char *lines);
json_t *admin_json_status(const struct broker *broker);
json_t *admin_json_account(const struct broker *broker, const char *user);
json_t *admin_json_device(const struct device *device);
/* Without certificates and connections. */
json_t *admin_json_device_brief(const struct device *device);
/* How many active certificates each authority has issued, by fingerprint: as ours, or as another's, which were adopted. */
enum admin_json_whose { ADMIN_JSON_OURS, ADMIN_JSON_ADOPTED };
json_t *admin_json_authorities(const struct registry *registry, enum admin_json_whose whose);
json_t *admin_json_session(const struct session *session);
json_t *admin_json_tunnel(const struct tunnel *tunnel);
json_t *admin_json_tunnel_row(const struct tunnel_row *row);
json_t *admin_json_audit_row(const struct audit_row *row);
/* DER as PEM text. */
json_t *admin_json_certificate(struct view der);

#endif
