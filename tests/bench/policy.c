/* policy.c: what a decision of the policy costs, and how it grows with rules and resources. Built with Sallyport itself
 * (tests/unit/meson.build), because it measures the broker's own files and no process. See README.md. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../gateway/broker/policy.h"

enum { DECISIONS = 200000, GROUPS = 500, GROUPS_OF_USER = 20 };

static double now_us(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static unsigned draw(unsigned bound)
{
	static uint64_t state = 88172645463325252u;
	state ^= state << 13, state ^= state >> 7, state ^= state << 17;
	return (unsigned)(state >> 33) % bound;
}

/* Hosts, networks and wildcards; rules of groups, each for some resources, some for all, some that deny. */
static char *text_of(unsigned rules, unsigned resources)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	for (unsigned i = 0; i < resources; i++)
		fprintf(out, "resource \"s%u\" { address = {\"host%u.corp.example:443\", \"10.%u.%u.0/24:5432\", \"*.z%u.example:22\"} }\n", i,
			i, i >> 8 & 255, i & 255, i);
	for (unsigned i = 0; i < rules; i++) {
		fprintf(out, "rule \"r%u\" { groups = {\"g%u\", \"g%u\"} resources = {", i, draw(GROUPS), draw(GROUPS));
		for (unsigned j = 0; j < 5; j++)
			fprintf(out, "\"s%u\", ", draw(resources));
		fprintf(out, "%s} %s%s }\n", i % 100 == 1 ? "\"*\"" : "", i % 10 == 0 ? "deny = true" : "fresh_login = 15m",
			i % 3 ? "" : " hours = \"Mon-Fri 07:00-20:00\"");
	}
	fclose(out);
	return text;
}

static void measure(const struct policy *policy, unsigned rules, unsigned resources, double parse_us, size_t bytes)
{
	char names[GROUPS_OF_USER][16];
	const char *groups[GROUPS_OF_USER];
	struct policy_facts facts = {.user = "alice", .groups = groups, .group_count = GROUPS_OF_USER, .device = "laptop1",
				     .tags = "managed\n", .key_kind = "ec-p256", .times_s = {1795514400}, .time_count = 1};
	struct target *targets = calloc(DECISIONS, sizeof(*targets));
	unsigned allowed = 0;
	for (unsigned i = 0; i < GROUPS_OF_USER; i++) {
		snprintf(names[i], sizeof(names[i]), "g%u", 7 * i);
		groups[i] = names[i];
	}
	for (unsigned i = 0; i < DECISIONS; i++) {
		char host[64];
		unsigned one = draw(resources), kind = draw(3);
		if (kind == 0)
			snprintf(host, sizeof(host), "host%u.corp.example", one);
		else if (kind == 1)
			snprintf(host, sizeof(host), "10.%u.%u.7", one >> 8 & 255, one & 255);
		else
			snprintf(host, sizeof(host), "a.b.z%u.example", one);
		if (target_parse(view_string(host), kind == 0 ? 443 : kind == 1 ? 5432 : 22, &targets[i], NULL) < 0)
			exit(1);
	}
	double began = now_us();
	for (unsigned i = 0; i < DECISIONS; i++) {
		struct policy_verdict verdict;
		policy_decide(policy, &facts, &targets[i], &verdict);
		allowed += verdict.allowed;
	}
	printf("%8u %10u %10zu %10.0f %14.2f %10.1f%%\n", rules, resources, bytes >> 10, parse_us / 1000, (now_us() - began) / DECISIONS,
	       100.0 * allowed / DECISIONS);
	free(targets);
}

int main(void)
{
	static const unsigned sizes[][2] = {{10, 5}, {100, 50}, {1000, 500}, {10000, 5000}, {40000, 20000}};
	struct policy_errors *errors = calloc(1, sizeof(*errors));
	errors->no_warnings = true;
	printf("%8s %10s %10s %10s %14s %11s\n", "rules", "resources", "KiB", "load ms", "us a decision", "allowed");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = text_of(sizes[i][0], sizes[i][1]);
		const struct policy_file file = {"bench", text};
		struct policy *policy = NULL;
		double began = now_us();
		if (policy_parse(&file, 1, &policy, errors) < 0) {
			fprintf(stderr, "%s\n", errors->list[0].text);
			return 1;
		}
		measure(policy, sizes[i][0], sizes[i][1], now_us() - began, strlen(text));
		policy_free(policy);
		free(text);
	}
	free(errors);
	return 0;
}
