/* cmd_init.c: sallyport-admin init: everything a gateway needs, made once and never overwritten.
 *
 * Two authorities are made: one that vouches for the server towards clients, one that vouches for devices towards the
 * gateway. What is made first is told last: the commands to go on with.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "audit_key.h"
#include "first_keys.h"
#include "sallyport/conf.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* Everything that init makes, by path. */
struct place {
	char etc[3072], state[3072], run[3072];
	char conf[3200], policy[3200], policy_directory[3200], pam_directory[3200], pam_service[3200];
	char server_ca[3200], server_ca_key[3200], server[3200], server_key[3200], device_ca[3200], device_ca_key[3200];
	char store[3200], admin_socket[3200], factor_socket[3200], factor_key[3200], first_policy[3200];
	char audit_key[3200], audit_public[3200];
	bool is_trial; /* all below one folder */
};

static void put(char *out_path, size_t capacity, const char *folder, const char *name)
{
	/* The folder is bounded so that every name fits (fill_folders). */
	if ((size_t)snprintf(out_path, capacity, "%s/%s", folder, name) >= capacity)
		out_path[0] = 0;
}

#define PUT(member, folder, name) put(place->member, sizeof(place->member), folder, name)

static int fill_folders(struct place *place, const char *directory, struct diag *diag)
{
	char absolute[2048];
	if (!directory) {
		str_copy(place->etc, sizeof(place->etc), "/etc/sallyport");
		str_copy(place->state, sizeof(place->state), "/var/lib/sallyport");
		str_copy(place->run, sizeof(place->run), "/run/sallyport");
		return 0;
	}
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return diag_system(diag, "cannot make %s", directory);
	OWN_MEMORY char *real = realpath(directory, NULL);
	if (!real || !str_copy(absolute, sizeof(absolute), real))
		return diag_system(diag, "cannot use %s", directory);
	place->is_trial = true;
	PUT(etc, absolute, "etc");
	PUT(state, absolute, "state");
	PUT(run, absolute, "run");
	return 0;
}

static int fill_place(struct place *place, const char *directory, struct diag *diag)
{
	memset(place, 0, sizeof(*place));
	int result = fill_folders(place, directory, diag);
	if (result < 0)
		return result;
	PUT(conf, place->etc, "gateway.conf");
	PUT(policy, place->etc, "policy.conf");
	PUT(policy_directory, place->etc, "policy.d");
	PUT(first_policy, place->policy_directory, "first.conf");
	PUT(pam_directory, place->etc, "pam.d");
	PUT(pam_service, place->pam_directory, "sallyport");
	PUT(server_ca, place->etc, "server-ca.crt");
	PUT(server_ca_key, place->etc, "server-ca.key");
	PUT(server, place->etc, "server.crt");
	PUT(server_key, place->etc, "server.key");
	PUT(device_ca, place->etc, "device-ca.crt");
	PUT(device_ca_key, place->etc, "device-ca.key");
	PUT(store, place->state, "sallyport.db");
	PUT(admin_socket, place->run, "admin.sock");
	PUT(factor_socket, place->run, "factor.sock");
	PUT(factor_key, place->etc, "factor.key");
	PUT(audit_key, place->etc, "audit.key");
	PUT(audit_public, place->etc, "audit.pub");
	return 0;
}

/* Before anything is written. */
static int check_nothing_exists(const struct place *place, struct diag *diag)
{
	const char *const paths[] = {place->conf,   place->policy,     place->server_ca, place->server_ca_key, place->server,
				     place->server_key, place->device_ca, place->device_ca_key, place->store,
				     place->first_policy, place->factor_key, place->audit_key, place->audit_public, place->is_trial ? place->pam_service : NULL};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat status;
		if (paths[i] && lstat(paths[i], &status) == 0)
			return diag_set(diag, ERR_DENIED, "%s exists already; init never overwrites", paths[i]);
	}
	return 0;
}

/* ---- keys ---- */

static int make_device_authority(const struct place *place, const struct admin_options *options, struct diag *diag)
{
	return first_device_authority(&(struct first_pair){place->device_ca, place->device_ca_key}, options->name, options->key, diag);
}

/* What seals second factors in the store: it is not in the store, nor in a copy of it. */
static int make_factor_key(const struct place *place, struct diag *diag)
{
	uint8_t key[32];
	char text[2 * sizeof(key) + 2];
	fd_random(key, sizeof(key));
	str_hex(view_of(key, sizeof(key)), text);
	text[2 * sizeof(key)] = '\n';
	int result = fd_write_file(place->factor_key, 0600, 0, view_of(text, sizeof(text) - 1), diag);
	wipe(key, sizeof(key));
	wipe(text, sizeof(text));
	return result;
}

/* ---- configuration ---- */

static int set(struct conf *conf, const char *key, const char *value, struct diag *diag)
{
	return conf_set(conf, key, view_string(value), diag);
}

/* A trial needs no system users: numbers do, when the users of the packages are not there. */
static int set_identities(struct conf *conf, struct diag *diag)
{
	static const struct {
		const char *key, *user, *number;
	} identities[] = {{"worker_user", "sallyport-worker", "64101"},
			  {"signer_user", "sallyport-signer", "64102"},
			  {"broker_user", "sallyport-broker", "64103"},
			  {"conversation_user", "sallyport-conversation", "64104"},
			  {"courier_user", "sallyport-courier", "64105"}};
	int result = 0;
	for (size_t i = 0; result == 0 && geteuid() == 0 && i < sizeof(identities) / sizeof(identities[0]); i++)
		result = set(conf, identities[i].key, getpwnam(identities[i].user) ? identities[i].user : identities[i].number, diag);
	return result;
}

static int set_paths(struct conf *conf, const struct place *place, const char *authority_key, struct diag *diag)
{
	const struct {
		const char *key, *value;
	} paths[] = {{"store", place->store},
		     {"policy", place->policy},
		     {"policy_directory", place->policy_directory},
		     {"admin_socket", place->admin_socket},
		     {"factor_socket", place->factor_socket},
		     {"factor_key", place->factor_key},
		     {"audit_key", place->audit_key},
		     {"server_certificate", place->server},
		     {"server_key", place->server_key},
		     {"server_authority", place->server_ca},
		     {"server_authority_key", place->server_ca_key},
		     {"device_authority", place->device_ca},
		     {"device_authority_key", authority_key ? authority_key : place->device_ca_key}};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(paths) / sizeof(paths[0]); i++)
		result = set(conf, paths[i].key, paths[i].value, diag);
	if (result == 0 && place->is_trial)
		result = set(conf, "pam_directory", place->pam_directory, diag);
	return result < 0 || !place->is_trial ? result : set_identities(conf, diag);
}

static int fill_conf(struct conf *conf, const struct place *place, const struct admin_options *options, struct diag *diag)
{
	char listen[300];
	if (conf_init(conf) < 0)
		return diag_set(diag, ERR_SYSTEM, "no memory for the configuration");
	int result = set(conf, "name", options->name, diag);
	if (result == 0 && options->listen) {
		snprintf(listen, sizeof(listen), "%s\n", options->listen);
		result = set(conf, "listen", listen, diag);
	}
	/* A trial takes no port that it was not told. */
	const char *enroll = options->enroll_listen ? options->enroll_listen : place->is_trial ? "" : "0.0.0.0:8443\n[::]:8443";
	snprintf(listen, sizeof(listen), "%s%s", enroll, *enroll ? "\n" : "");
	if (result == 0)
		result = set(conf, "enroll_listen", listen, diag);
	return result < 0 ? result : set_paths(conf, place, options->key, diag);
}

static int write_conf(const struct conf *conf, const struct place *place, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(1 << 20);
	int result = buf_add_string(&text, "# Configuration of the Sallyport gateway; see sallyport-gateway.conf(5).\n"
					   "# A commented line shows the default.\n\n");
	if (result == 0)
		result = conf_sample(conf, &text);
	if (result < 0)
		return diag_set(diag, result, "the configuration is too long");
	return fd_write_file(place->conf, 0644, 0, buf_view(&text), diag);
}

static const char sample_policy[] =
	"# Who may reach what. Nothing is allowed unless a rule allows it; a rule with deny = true wins over all.\n"
	"# After a change: sallyport-admin policy check FILE, then sallyport-admin policy apply. See sallyport-policy.conf(5).\n"
	"#\n"
	"# resource \"wiki\" { address = {\"wiki.corp.example:443\"}  description = \"Company wiki\" }\n"
	"# resource \"db\"   { address = {\"db1.corp.example:5432\", \"10.20.0.0/24:5432\"} }\n"
	"# rule \"staff read the wiki\" { groups = {\"staff\"}  resources = {\"wiki\"} }\n"
	"# rule \"DBAs\" { groups = {\"dba\"}  device_tags = {\"managed\"}  resources = {\"db\"}  fresh_login = \"15m\"\n"
	"#               hours = {\"Mon-Fri 07:00-20:00\"} }\n";

static const char sample_pam[] = "# The user's door. Every login passes here; see pam.conf(5).\n"
				 "auth     include  common-auth\n"
				 "# A one-time code after the password, kept by the gateway; see pam_sallyport(8), which asks for a\n"
				 "# password module that is requisite. Users get theirs by: sallyport-admin account factor add USER\n"
				 "# auth   required pam_sallyport.so factor\n"
				 "account  include  common-account\n"
				 "# A PAM session for as long as the gateway's own, which costs a process each:\n"
				 "# session include common-session-noninteractive\n";

/* ---- the first policy ---- */

/* "NAME=HOST:PORT" */
static int add_first_resource(struct buf *text, const char *given, struct admin_values *names, char (*space)[64],
			      struct diag *diag)
{
	const char *equals = strchr(given, '=');
	char *name = space[names->count];
	if (!equals || view_to_string(view_of(given, (size_t)(equals - given)), name, sizeof(*space)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no resource: NAME=HOST:PORT", given);
	struct admin_values address = {.list = {equals + 1}, .count = 1};
	names->list[names->count++] = name;
	return policy_text_resource(text, name, address, NULL, diag);
}

static int render_first_policy(const struct admin_options *options, struct buf *text, struct diag *diag)
{
	static char space[ADMIN_VALUES_MAX][64];
	struct policy_text_rule rule = {.groups = options->allow_groups};
	int result = buf_add_string(text, "# What init was told. More: sallyport-admin resource add, rule add.\n");
	for (unsigned i = 0; result == 0 && i < options->resources.count; i++)
		result = add_first_resource(text, options->resources.list[i], &rule.resources, space, diag);
	return result < 0 ? result : policy_text_rule(text, "first", &rule, diag);
}

/* Whether what the command line says of the policy can be written down; before anything is made. */
static int check_first_policy(const struct admin_options *options, struct buf *text, struct diag *diag)
{
	if (!options->resources.count && !options->allow_groups.count)
		return 0;
	if (!options->resources.count || !options->allow_groups.count)
		return diag_set(diag, ERR_BAD_INPUT, "--resource and --allow-group belong together: who may reach what");
	return render_first_policy(options, text, diag);
}

/* ---- making ---- */

static int make_folder(const char *path, mode_t mode, struct diag *diag)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return diag_system(diag, "cannot make %s", path);
	return 0;
}

static int own_state(const struct place *place, const struct conf *conf, struct diag *diag)
{
	uint64_t number = 0;
	if (geteuid() != 0)
		return 0;
	const struct passwd *entry = getpwnam(conf->broker_user);
	if (!entry && str_to_u64(view_string(conf->broker_user), 0, UINT32_MAX - 1, &number) < 0)
		return diag_set(diag, ERR_NOT_FOUND, "there is no user \"%s\" yet: install the package, or use --dir for a trial",
				conf->broker_user);
	uid_t owner = entry ? entry->pw_uid : (uid_t)number;
	return chown(place->state, owner, entry ? entry->pw_gid : (gid_t)owner) < 0
		       ? diag_system(diag, "cannot give %s to %s", place->state, conf->broker_user)
		       : 0;
}

static int make_folders(const struct place *place, const struct conf *conf, struct diag *diag)
{
	int result = make_folder(place->etc, 0755, diag);
	if (result == 0)
		result = make_folder(place->policy_directory, 0755, diag);
	if (result == 0 && place->is_trial)
		result = make_folder(place->pam_directory, 0755, diag);
	if (result == 0)
		result = make_folder(place->run, 0755, diag);
	if (result == 0)
		result = make_folder(place->state, 0700, diag);
	return result < 0 ? result : own_state(place, conf, diag);
}

static int make_all(const struct place *place, const struct conf *conf, const struct admin_options *options,
		    struct view first_policy, struct diag *diag)
{
	int result = make_folders(place, conf, diag);
	if (result == 0)
		result = make_device_authority(place, options, diag);
	if (result == 0)
		result = first_server(&(struct first_pair){place->server_ca, place->server_ca_key},
				      &(struct first_pair){place->server, place->server_key}, options->name, diag);
	if (result == 0)
		result = make_factor_key(place, diag);
	if (result == 0)
		result = audit_key_make(place->audit_key, place->audit_public, diag);
	if (result == 0)
		result = fd_write_file(place->policy, 0644, 0, view_string(sample_policy), diag);
	if (result == 0 && first_policy.size)
		result = fd_write_file(place->first_policy, 0644, 0, first_policy, diag);
	if (result == 0 && place->is_trial)
		result = fd_write_file(place->pam_service, 0644, 0, view_string(sample_pam), diag);
	/* The configuration last: whoever sees it may use everything it names. */
	return result < 0 ? result : write_conf(conf, place, diag);
}

static void tell(const struct place *place, const char *host, bool has_policy, bool in_token)
{
	printf("Made for %s:\n"
	       "  %s   the configuration\n"
	       "  %s   the policy%s\n"
	       "  %s   what laptops trust (invitations carry its pin)\n"
	       "  %s   the authority of devices; its key stays %s\n"
	       "  %s   verifies the audit record (audit verify): keep a copy elsewhere\n\n"
	       "Next:\n",
	       host, place->conf, has_policy ? place->first_policy : place->policy, has_policy ? "" : ": nothing is allowed yet",
	       place->server_ca, place->device_ca, in_token ? "in its token (token_paths in the configuration: what its module reads)" : "here",
	       place->audit_public);
	if (place->is_trial)
		printf("  sallyport-gateway -f %s -T\n"
		       "  sallyport-gateway -f %s\n"
		       "  sallyport-admin --socket %s device invite laptop1 --user alice\n",
		       place->conf, place->conf, place->admin_socket);
	else
		printf("  systemctl enable --now sallyport-gateway\n"
		       "  sallyport-admin device invite laptop1 --user alice\n");
}

int cmd_init(const struct admin_options *options)
{
	static struct place place;
	struct conf conf = {0};
	OWN_BUF struct buf first_policy = BUF_INIT(65536);
	struct diag diag;
	if (!options->name || !*options->name)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin init --name HOST [--resource NAME=HOST:PORT --allow-group GROUP] "
					      "[--dir DIR] [--listen ADDRESS:PORT] [--enroll-listen ADDRESS:PORT] [--key pkcs11:URL]");
	int result = check_first_policy(options, &first_policy, &diag);
	if (result == 0)
		result = fill_place(&place, options->directory, &diag);
	if (result == 0)
		result = check_nothing_exists(&place, &diag);
	if (result == 0)
		result = fill_conf(&conf, &place, options, &diag);
	if (result == 0)
		result = make_all(&place, &conf, options, buf_view(&first_policy), &diag);
	conf_fini(&conf);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	tell(&place, options->name, first_policy.size > 0, options->key);
	return ADMIN_DONE;
}

/* ---- the authority alone ---- */

static int check_no_authority(const struct place *place, struct diag *diag)
{
	const char *const paths[] = {place->device_ca, place->device_ca_key};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], F_OK) == 0)
			return diag_set(diag, ERR_DENIED, "%s exists already; its successor is made by: sallyport-admin ca rotate", paths[i]);
	return 0;
}

int cmd_ca_init(const struct admin_options *options)
{
	static struct place place;
	struct diag diag;
	if (!options->name || !*options->name)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin ca init --name HOST [--dir DIR] [--key pkcs11:URL]");
	int result = fill_place(&place, options->directory, &diag);
	if (result == 0)
		result = check_no_authority(&place, &diag);
	if (result == 0)
		result = make_folder(place.etc, 0755, &diag);
	if (result == 0)
		result = make_device_authority(&place, options, &diag);
	if (result < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	printf("device_authority = \"%s\"\ndevice_authority_key = \"%s\"\n", place.device_ca,
	       options->key ? options->key : place.device_ca_key);
	return ADMIN_DONE;
}
