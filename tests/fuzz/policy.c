/* policy.c: fuzz target: the text of a policy; what parses must also decide and explain. */
#include "../../gateway/broker/policy.h"

#include <string.h>

#include "fuzz.h"
#include "sallyport/own.h"

static void ask(const struct policy *policy)
{
	static const char *const groups[] = {"staff"};
	const struct policy_facts facts = {
		.user = "alice", .groups = groups, .group_count = 1, .device = "laptop1", .tags = "managed\n", .times_s = {1795514400}, .time_count = 1};
	struct policy_verdict verdict;
	struct target target;
	OWN_BUF struct buf text = BUF_INIT(1 << 20);
	MUST(target_parse(view_string("db1.corp.example"), 5432, &target, NULL) == 0);
	policy_decide(policy, &facts, &target, &verdict);
	MUST(verdict.allowed == (verdict.code[0] == 0));
	(void)!policy_explain(policy, &facts, &target, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_MEMORY char *text = view_duplicate(view_of(data, size));
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	if (!text || !errors)
		return 0;
	const struct policy_file file = {"fuzz", text};
	if (policy_parse(&file, 1, &policy, errors) == 0)
		ask(policy);
	else
		MUST(errors->count && errors->list[0].text[0]);
	policy_free(policy);
	return 0;
}
