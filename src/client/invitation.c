/* invitation.c: the invitation's line, taken apart. */
#include "invitation.h"

#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PARTS = 7 };

/* Between slashes; false unless there are exactly as many as there should be. */
static bool split(struct view line, struct view parts[PARTS])
{
	for (int i = 0; i < PARTS; i++) {
		const uint8_t *slash = line.size ? memchr(line.data, '/', line.size) : NULL;
		size_t length = slash ? (size_t)(slash - line.data) : line.size;
		parts[i] = view_of(line.data, length);
		if (!length || (i + 1 < PARTS) != (slash != NULL))
			return false;
		length += slash != NULL;
		line = view_of(line.data + length, line.size - length);
	}
	return true;
}

static bool take_place(struct view part, struct invitation_place *out_place)
{
	return view_is_utf8(part) && str_split_authority(part, out_place->host, sizeof(out_place->host), &out_place->port) == 0 &&
	       !strpbrk(out_place->host, "@?#% ");
}

static bool take_word(struct view part, char *out_word, size_t capacity)
{
	if (view_to_string(part, out_word, capacity) < 0)
		return false;
	return strspn(out_word, "0123456789abcdefABCDEFGHIJKLMNOPQRSTUVWXYZghijklmnopqrstuvwxyz") == part.size;
}

int invitation_parse(struct view line, struct invitation *out_invitation, struct diag *diag)
{
	static const char version[] = "sallyport:1", any_version[] = "sallyport:";
	struct view parts[PARTS];
	uint64_t until = 0;
	*out_invitation = (struct invitation){.has_pin = false};
	line = view_trim(line, " \t\r\n");
	if (line.size < strlen(any_version) || memcmp(line.data, any_version, strlen(any_version)) != 0)
		return diag_set(diag, STATUS_USAGE, _("This is no invitation: it must begin with \"sallyport:1/\"; copy the whole line"));
	if (!split(line, parts))
		return diag_set(diag, STATUS_USAGE, _("This invitation is not whole; copy the whole line"));
	if (!view_is(parts[0], version))
		return diag_set(diag, STATUS_USAGE, _("This invitation is for another version of sallyport; install a newer one"));
	if (!take_place(parts[1], &out_invitation->gateway) || !take_place(parts[2], &out_invitation->enrolment))
		return diag_set(diag, STATUS_USAGE, _("The gateway's address in this invitation is not HOST:PORT; copy the whole line"));
	out_invitation->has_pin = !view_is(parts[3], "-");
	if (out_invitation->has_pin && str_from_hex(parts[3], out_invitation->pin, sizeof(out_invitation->pin)) < 0)
		return diag_set(diag, STATUS_USAGE, _("The pin in this invitation is damaged; copy the whole line"));
	if (!take_word(parts[4], out_invitation->id, sizeof(out_invitation->id)) ||
	    !take_word(parts[5], out_invitation->secret, sizeof(out_invitation->secret)) ||
	    str_to_u64(parts[6], 0, INT64_MAX, &until) < 0)
		return diag_set(diag, STATUS_USAGE, _("This invitation is damaged; copy the whole line"));
	out_invitation->until_s = (int64_t)until;
	return STATUS_OK;
}

void invitation_wipe(struct invitation *invitation)
{
	wipe(invitation, sizeof(*invitation));
}
