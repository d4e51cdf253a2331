/* remove_folder.h: takes away a folder of a test, with all that is in it. */
#ifndef SALLYPORT_TESTS_REMOVE_FOLDER_H
#define SALLYPORT_TESTS_REMOVE_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
	(void)stat, (void)kind, (void)place;
	return remove(path);
}

/* 0, or -1 when something stayed. */
static inline int remove_folder(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
