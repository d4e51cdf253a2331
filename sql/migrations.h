/* migrations.h: the numbered files of this folder, in the program. Migration N brings the store from version N - 1
 * to N (PRAGMA user_version). Made from the files by embed.py; run by gateway/broker/store_open.c. */
#ifndef SALLYPORT_SQL_MIGRATIONS_H
#define SALLYPORT_SQL_MIGRATIONS_H

struct migration {
	const char *name;
	const char *text;
};

extern const struct migration migrations[];
extern const unsigned migration_count;

#endif
