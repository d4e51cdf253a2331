/* call.c: asks the gateway's broker: HTTP on its unix socket, by libcurl. The only file that knows libcurl. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "sallyport/buf.h"
#include "sallyport/own.h"

#define ANSWER_MAX (64 << 20)

DEFINE_OWN(curl, CURL *, curl_easy_cleanup)
DEFINE_OWN(headers, struct curl_slist *, curl_slist_free_all)

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
	return buf_add(context, view_of(bytes, size * count)) < 0 ? 0 : size * count;
}

int call_escape(char *path, size_t capacity, const char *text)
{
	size_t used = strlen(path);
	char *escaped = curl_easy_escape(NULL, text, (int)strlen(text));
	int length = escaped ? snprintf(path + used, capacity - used, "%s", escaped) : -1;
	curl_free(escaped);
	return length < 0 || (size_t)length >= capacity - used ? ERR_LIMIT : 0;
}

static int exchange(const struct admin_options *options, const char *method, const char *path, const char *body,
		    struct buf *out_answer, long *out_status)
{
	char url[4096], trouble[CURL_ERROR_SIZE] = "";
	OWN(own_curl) CURL *curl = curl_easy_init();
	OWN(own_headers) struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!curl || !headers || (size_t)snprintf(url, sizeof(url), "http://gateway%s", path) >= sizeof(url))
		return admin_say(ADMIN_FAILED, "the question is too long");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, options->socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, trouble);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out_answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	CURLcode code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return admin_say(ADMIN_UNREACHABLE, "the gateway does not answer at %s: %s (is it running, and may you use it?)",
				 options->socket, *trouble ? trouble : curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, out_status);
	return ADMIN_DONE;
}

int call(const struct admin_options *options, const char *method, const char *path, json_t *body, json_t **out_answer)
{
	OWN_BUF struct buf answer = BUF_INIT(ANSWER_MAX);
	OWN_MEMORY char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_error_t error;
	long status = 0;
	json_decref(body);
	int result = exchange(options, method, path, text, &answer, &status);
	if (result != ADMIN_DONE)
		return result;
	json_t *json = json_loadb((const char *)answer.data, answer.size, 0, &error);
	if (status >= 200 && status < 300 && json) {
		*out_answer = json;
		return ADMIN_DONE;
	}
	const char *sentence = json_string_value(json_object_get(json, "error"));
	if (sentence)
		admin_say(ADMIN_FAILED, "%s", sentence);
	else
		admin_say(ADMIN_FAILED, "the gateway answered with status %ld", status);
	json_decref(json);
	return ADMIN_FAILED;
}
