/* conf.c: fuzz target: the text of gateway.conf; what parses is spelled as it is read. */
#include "../../gateway/monitor/conf_file.h"

#include "fuzz.h"
#include "sallyport/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_MEMORY char *text = view_duplicate(view_of(data, size));
	struct conf conf;
	struct diag diag = {""};
	if (!text)
		return 0;
	if (conf_file_parse("fuzz", text, &conf, &diag) < 0) {
		MUST(diag.text[0]);
		return 0;
	}
	for (size_t i = 0; i < conf_key_count; i++) {
		OWN_BUF struct buf value = BUF_INIT(1 << 20);
		MUST(conf_spell(&conf, &conf_keys[i], &value) == 0);
		MUST(value.size == 0 || conf_set(&conf, conf_keys[i].name, buf_view(&value), &diag) == 0);
	}
	conf_fini(&conf);
	return 0;
}
