/* sanitizer.h: is this a build with AddressSanitizer? */
#ifndef SALLYPORT_ROOM_SANITIZER_H
#define SALLYPORT_ROOM_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define ROOM_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROOM_IS_SANITIZED 1
#endif
#endif
#ifndef ROOM_IS_SANITIZED
#define ROOM_IS_SANITIZED 0
#endif

#endif
