/* log.h: one line per event on standard error, as journald likes it (sd-daemon priority prefix when
 * standard error is not a terminal). Only rooms and command-line programs log; base, ipc and net do not.
 * No secret may ever be an argument here. */
#ifndef SALLYPORT_LOG_H
#define SALLYPORT_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_DEBUG };

/* `room` is printed in front of every line; it must live for ever. */
void log_open(const char *room, enum log_level most_verbose);
void log_set_level(enum log_level most_verbose);
[[gnu::format(printf, 2, 3)]] void log_write(enum log_level level, const char *format, ...);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
