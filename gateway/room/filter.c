/* filter.c: seccomp programs from lists, by libseccomp. */
#include "filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sanitizer.h"
#include "sallyport/buf.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"

DEFINE_OWN(context, scmp_filter_ctx, seccomp_release)

static uint32_t action_of(enum filter_verdict verdict)
{
	switch (verdict) {
	case FILTER_ALLOW:
		return SCMP_ACT_ALLOW;
	case FILTER_REFUSE:
		return SCMP_ACT_ERRNO(1 /* EPERM */);
	case FILTER_ABSENT:
		return SCMP_ACT_ERRNO(38 /* ENOSYS */);
	default:
		return SCMP_ACT_KILL_PROCESS;
	}
}

static int add_row(scmp_filter_ctx context, const struct filter_list *list, enum filter_verdict verdict,
		   const struct filter_row *row, struct diag *diag)
{
	struct scmp_arg_cmp checks[FILTER_CHECKS_MAX];
	unsigned count = 0;
	for (; count < FILTER_CHECKS_MAX && row->checks[count].mask; count++)
		checks[count] = SCMP_CMP(row->checks[count].argument, SCMP_CMP_MASKED_EQ, row->checks[count].mask,
					 row->checks[count].value);
	/* libseccomp refuses a row whose verdict is the rest's: such a row changes nothing. */
	if (action_of(verdict) == action_of(list->rest))
		return 0;
	int result = seccomp_rule_add_array(context, action_of(verdict), (int)row->number, count, checks);
	if (result < 0)
		return diag_set(diag, ERR_BUG, "the filter %s does not take %s (%d)", list->name, row->name, result);
	return 0;
}

static int add_rows(scmp_filter_ctx context, const struct filter_list *list, const struct filter_part *part,
		    struct diag *diag)
{
	int result = 0;
	for (const struct filter_row *row = part->rows; result == 0 && row->name; row++)
		result = add_row(context, list, part->verdict, row, diag);
	return result;
}

/* libseccomp 2.5 can give its program to a descriptor only. */
static int export_program(scmp_filter_ctx context, struct filter *out_filter, struct diag *diag)
{
	OWN_FD int fd = memfd_create("filter", MFD_CLOEXEC);
	OWN_BUF struct buf bytes = BUF_INIT(BPF_MAXINSNS * sizeof(struct sock_filter));
	if (fd < 0 || seccomp_export_bpf(context, fd) < 0 || fd_read_all(fd, &bytes) < 0)
		return diag_system(diag, "cannot export a seccomp program");
	out_filter->instructions = (unsigned short)(bytes.size / sizeof(struct sock_filter));
	out_filter->program = take_pointer(&bytes.data);
	return 0;
}

/* What the runtime of ASan and UBSan calls besides. Present in sanitizer builds only. */
static const struct filter_row sanitizer_calls[] = {
	FILTER_CALL(sigaltstack),
	FILTER_CALL(sched_yield),
	FILTER_END,
};
static const struct filter_row sanitizer_probes[] = {
#ifdef SYS_open
	/* /proc/self/maps and .../exe, for a report. glibc itself opens by openat, so what release builds
	 * would die of does not hide here. */
	FILTER_CALL(open),
	FILTER_CALL(readlink),
#endif
	FILTER_END,
};

static int add_sanitizer(scmp_filter_ctx context, const struct filter_list *list, struct diag *diag)
{
	const struct filter_part calls = {FILTER_ALLOW, sanitizer_calls}, probes = {FILTER_REFUSE, sanitizer_probes};
	if (!ROOM_IS_SANITIZED || list->rest == FILTER_ALLOW)
		return 0;
	int result = add_rows(context, list, &calls, diag);
	return result < 0 ? result : add_rows(context, list, &probes, diag);
}

int filter_compile(const struct filter_list *list, struct filter *out_filter, struct diag *diag)
{
	OWN(own_context) scmp_filter_ctx context = seccomp_init(action_of(list->rest));
	if (!context || seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
	    /* A binary tree of calls: fewer comparisons for each. */
	    seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		return diag_system(diag, "libseccomp does not start");
	int result = 0;
	for (size_t i = 0; result == 0 && i < FILTER_PARTS_MAX && list->parts[i].rows; i++)
		result = add_rows(context, list, &list->parts[i], diag);
	if (result == 0)
		result = add_sanitizer(context, list, diag);
	*out_filter = (struct filter){.name = list->name};
	return result < 0 ? result : export_program(context, out_filter, diag);
}

int filter_load(const struct filter *filter, struct diag *diag)
{
	struct sock_fprog program = {.len = filter->instructions, .filter = filter->program};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return diag_system(diag, "cannot load the seccomp program of %s", filter->name);
	return 0;
}

void filter_fini(struct filter *filter)
{
	free(filter->program);
	*filter = (struct filter){0};
}
