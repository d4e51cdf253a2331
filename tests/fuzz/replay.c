/* replay.c: runs a fuzz target over the files of a folder; the main program where there is no libFuzzer. */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"
#include "sallyport/err.h"
#include "sallyport/fd.h"

static int replay_file(const char *folder, const char *name)
{
	char path[4096];
	struct diag diag;
	OWN_BUF struct buf bytes = BUF_INIT(1 << 20);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (fd_read_file(path, &bytes, &diag) < 0) {
		fprintf(stderr, "%s\n", diag.text);
		return -1;
	}
	/* Whole, and cut short everywhere: a copy of its own, so that reading beyond it is seen. */
	for (size_t size = bytes.size;; size = size > 512 ? size - 97 : size - 1) {
		uint8_t *copy = malloc(size + (size == 0));
		for (size_t i = 0; i < size; i++)
			copy[i] = bytes.data[i];
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
		if (size == 0)
			return 0;
	}
}

int main(int count, char **arguments)
{
	int files = 0;
	for (int i = 1; i < count; i++) {
		DIR *folder = opendir(arguments[i]);
		for (struct dirent *entry; folder && (entry = readdir(folder));)
			if (entry->d_name[0] != '.') {
				if (replay_file(arguments[i], entry->d_name) < 0)
					return 1;
				files++;
			}
		if (folder)
			closedir(folder);
	}
	printf("%d files\n", files);
	return files ? 0 : 1; /* an empty corpus proves nothing */
}
