/* alert_errand.c: messages of their own: a test, and what cannot be put into the spool. See alert_errand.h. */
#include "alert_errand.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "courier_edge.h"
#include "sallyport/alert.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct errand {
	struct courier_delivery delivery;
	struct courier_item item;
	char name[ALERT_NAME_MAX + 1];
	alert_test_done done;
	void *context;
};

static void on_errand(struct courier_delivery *delivery, int result, const struct diag *diag)
{
	OWN_MEMORY struct errand *errand = delivery->context;
	if (errand->done)
		errand->done(errand->context, result, diag);
}

static struct errand *errand_new(const char *alert, const char *event, const char *detail)
{
	struct errand *errand = calloc(1, sizeof(*errand));
	if (!errand)
		return NULL;
	str_copy(errand->name, sizeof(errand->name), alert);
	errand->item.at_ms = clock_wall_ms();
	str_copy(errand->item.event, sizeof(errand->item.event), event);
	str_copy(errand->item.detail, sizeof(errand->item.detail), detail);
	errand->delivery = (struct courier_delivery){.alert = errand->name, .items = &errand->item, .count = 1, .done = on_errand,
						     .context = errand};
	return errand;
}

void alert_errand_test(struct broker *broker, const char *alert, const char *by, alert_test_done done, void *context)
{
	struct alert found;
	struct diag diag;
	char detail[512];
	if (!alert_find(broker->room->conf.alert, view_string(alert), &found)) {
		int result = diag_set(&diag, ERR_NOT_FOUND, "there is no alert \"%s\" in the configuration", alert);
		done(context, result, &diag);
		return;
	}
	snprintf(detail, sizeof(detail), "a test, sent by %s", by);
	str_make_printable(detail);
	struct errand *errand = errand_new(alert, "test", detail);
	if (!errand) {
		int result = diag_system(&diag, "memory");
		done(context, result, &diag);
		return;
	}
	errand->done = done;
	errand->context = context;
	courier_deliver(broker, &errand->delivery);
}

void alert_errand_tell(struct broker *broker, const char *alert, const char *event, const char *detail)
{
	struct errand *errand = errand_new(alert, event, detail);
	if (errand)
		courier_deliver(broker, &errand->delivery);
}
