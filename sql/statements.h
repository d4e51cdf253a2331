/* statements.h: every statement that the broker runs, as rows: S(name, text).
 *
 * The text serves SQLite and PostgreSQL. Parameters are $1, $2, ... and appear first in that order (SQLite numbers
 * them by their first appearance; the store checks it when it prepares them). `user` is a word of SQL: quoted.
 */
#ifndef SALLYPORT_SQL_STATEMENTS_H
#define SALLYPORT_SQL_STATEMENTS_H

#define STATEMENTS(S)                                                                                              \
	/* ---- registry ---- */                                                                                   \
	S(device_all, "SELECT id, name, state, tags, generation, created_at, last_seen_at, last_seen_from, kind FROM device " \
		      "WHERE forgotten_at IS NULL")                                                                \
	S(device_user_all, "SELECT device, \"user\" FROM device_user JOIN device ON device.id = device_user.device " \
			   "WHERE forgotten_at IS NULL ORDER BY device, \"user\"")                                 \
	S(certificate_all, "SELECT fingerprint, serial, device, certificate.generation, public_key, key_kind, not_before, " \
			   "not_after, certificate.state, issued_at, key_store, first_used_at, superseded_at, noticed_at, " \
			   "CASE WHEN first_used_at IS NULL THEN der ELSE '' END, authority, issuer, responder "   \
			   "FROM certificate JOIN device ON device.id = certificate.device "                       \
			   "WHERE forgotten_at IS NULL ORDER BY device, certificate.generation")                   \
	S(device_insert, "INSERT INTO device (id, name, state, tags, generation, created_at, kind) "               \
			 "VALUES ($1, $2, 'active', $3, $4, $5, $6)")                                              \
	S(device_user_insert, "INSERT INTO device_user (device, \"user\") VALUES ($1, $2)")                        \
	S(certificate_insert, "INSERT INTO certificate (fingerprint, serial, device, generation, public_key, "     \
			      "key_kind, not_before, not_after, state, issued_at, der, key_store, authority, issuer, responder) " \
			      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $11, $12, $13, $14)")         \
	S(device_set_state, "UPDATE device SET state = $1 WHERE id = $2 AND (state <> 'revoked' OR $1 = 'revoked')") \
	S(certificate_revoke, "UPDATE certificate SET state = 'revoked' WHERE device = $1 AND state = 'active'")   \
	S(device_seen, "UPDATE device SET last_seen_at = $1, last_seen_from = $2 WHERE id = $3")                   \
	S(certificate_first_used, "UPDATE certificate SET first_used_at = $1, der = '' "                           \
				  "WHERE fingerprint = $2 AND first_used_at IS NULL")                              \
	S(certificate_supersede, "UPDATE certificate SET state = 'superseded', superseded_at = $1 "                \
				 "WHERE device = $2 AND generation < $3 AND state = 'active'")                     \
	S(certificate_noticed, "UPDATE certificate SET noticed_at = $1 WHERE fingerprint = $2")                    \
	S(device_set_generation, "UPDATE device SET generation = $1 WHERE id = $2 AND state <> 'revoked'")         \
	S(device_rename, "UPDATE device SET name = $1 WHERE id = $2")                                              \
	S(device_set_tags, "UPDATE device SET tags = $1 WHERE id = $2")                                            \
	S(device_user_delete, "DELETE FROM device_user WHERE device = $1 AND \"user\" = $2")                       \
	S(device_forget, "UPDATE device SET forgotten_at = $1, name = $2 WHERE id = $3 AND state = 'revoked'")     \
	/* ---- other authorities ---- */                                                                          \
	S(issuer_list_all, "SELECT authority, number, this_update, next_update, noticed_at, serials FROM issuer_list") \
	S(issuer_list_put, "INSERT INTO issuer_list (authority, number, this_update, next_update, noticed_at, serials) " \
			   "VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (authority) DO UPDATE SET number = excluded.number, " \
			   "this_update = excluded.this_update, next_update = excluded.next_update, noticed_at = 0, " \
			   "serials = excluded.serials")                                                           \
	S(issuer_list_noticed, "UPDATE issuer_list SET noticed_at = $1 WHERE authority = $2")                      \
	/* ---- invitations ---- */                                                                                \
	S(invitation_all, "SELECT id, secret_hash, device_name, device, users, tags, state, attempts, created_at, " \
			  "expires_at, public_key, key_kind, key_store, address, kind FROM invitation "            \
			  "WHERE expires_at > $1 ORDER BY created_at")                                             \
	S(invitation_insert, "INSERT INTO invitation (id, secret_hash, device_name, device, users, tags, state, "  \
			     "attempts, created_at, expires_at, public_key, key_kind, key_store, address, kind) "  \
			     "VALUES ($1, $2, $3, $4, $5, $6, 'open', 0, $7, $8, '', '', '', '', $9)")             \
	S(invitation_set_state, "UPDATE invitation SET state = $1 WHERE id = $2 AND state IN ('open', 'pending', 'approved')") \
	S(invitation_attempt, "UPDATE invitation SET attempts = $1, state = CASE WHEN state IN ('open', 'pending', 'approved') " \
			      "THEN $2 ELSE state END WHERE id = $3")                                              \
	S(invitation_withdraw_device, "UPDATE invitation SET state = 'withdrawn' "                                 \
				      "WHERE device = $1 AND state IN ('open', 'pending', 'approved')")            \
	S(invitation_rename_device, "UPDATE invitation SET device_name = $1 "                                      \
				    "WHERE device = $2 AND state IN ('open', 'pending', 'approved')")              \
	S(invitation_claim, "UPDATE invitation SET state = $1, device = $2, public_key = $3, key_kind = $4, "      \
			    "key_store = $5, address = $6 WHERE id = $7 AND state IN ('open', 'pending', 'approved')") \
	/* ---- sessions ---- */                                                                                   \
	S(session_live, "SELECT id, number, token_hash, device, \"user\", created_at, expires_at, address, "       \
			"connection, realm, portal, browser_token_hash FROM session WHERE ended_at IS NULL ORDER BY number") \
	S(session_newest_row, "SELECT coalesce(max(at), 0) FROM audit")                                            \
	S(session_last_number, "SELECT coalesce(max(number), 0) FROM session")                                     \
	S(session_insert, "INSERT INTO session (id, number, token_hash, device, \"user\", created_at, expires_at, " \
			  "address, connection, realm, portal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)") \
	S(session_extend, "UPDATE session SET expires_at = $1 WHERE id = $2 AND ended_at IS NULL")                 \
	S(session_browser_token, "UPDATE session SET browser_token_hash = $1 WHERE id = $2 AND ended_at IS NULL")  \
	S(session_end, "UPDATE session SET ended_at = $1, end_reason = $2 WHERE id = $3 AND ended_at IS NULL")     \
	S(session_end_device, "UPDATE session SET ended_at = $1, end_reason = $2 WHERE device = $3 AND ended_at IS NULL") \
	S(session_end_user_device, "UPDATE session SET ended_at = $1, end_reason = $2 "                            \
				   "WHERE device = $3 AND \"user\" = $4 AND ended_at IS NULL")                     \
	S(session_places, "SELECT address, max(created_at) FROM (SELECT address, created_at FROM session WHERE device = $1 " \
			  "AND \"user\" = $2 ORDER BY created_at DESC LIMIT 500) AS newest GROUP BY address "     \
			  "ORDER BY max(created_at) DESC LIMIT $3")                                                \
	/* ---- tunnels ---- */                                                                                    \
	S(tunnel_last, "SELECT coalesce(max(id), 0) FROM tunnel")                                                  \
	S(tunnel_insert, "INSERT INTO tunnel (id, session, device, \"user\", rule, resource, requested_host, "     \
			 "requested_port, opened_at, connection, request_id, way, form) "                          \
			 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")                        \
	S(tunnel_address, "UPDATE tunnel SET address = $1 WHERE id = $2")                                          \
	S(tunnel_close, "UPDATE tunnel SET closed_at = $1, close_reason = $2, bytes_to_target = $3, "              \
			"bytes_to_client = $4 WHERE id = $5 AND closed_at IS NULL")                                \
	S(tunnel_count_open, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL")                                \
	S(tunnel_close_lost, "UPDATE tunnel SET closed_at = $1, close_reason = $2 WHERE id = $3 AND closed_at IS NULL") \
	S(tunnel_open_all, "SELECT id, session, device, rule, resource, requested_host, requested_port, address, "  \
			   "opened_at, connection, request_id, way, form FROM tunnel WHERE closed_at IS NULL ORDER BY id") \
	S(tunnel_page, "SELECT tunnel.id, session, device.name, \"user\", rule, resource, requested_host, "        \
		       "requested_port, address, bytes_to_target, bytes_to_client, opened_at, closed_at, "         \
		       "close_reason, connection, request_id, way, form FROM tunnel JOIN device ON device.id = tunnel.device " \
		       "WHERE tunnel.id > $1 ORDER BY tunnel.id LIMIT $2")                                         \
	/* ---- accounts ---- */                                                                                   \
	S(account_all, "SELECT \"user\", locked_at FROM account WHERE locked_at IS NOT NULL")                      \
	S(account_lock, "INSERT INTO account (\"user\", locked_at) VALUES ($1, $2) "                               \
			"ON CONFLICT (\"user\") DO UPDATE SET locked_at = coalesce(account.locked_at, excluded.locked_at)") \
	S(account_unlock, "UPDATE account SET locked_at = NULL WHERE \"user\" = $1")                               \
	S(session_end_user, "UPDATE session SET ended_at = $1, end_reason = $2 WHERE \"user\" = $3 AND ended_at IS NULL") \
	S(shadow_clear, "DELETE FROM shadow")                                                                      \
	S(shadow_put, "INSERT INTO shadow (began_at, asked, different, not_kept) VALUES ($1, $2, $3, $4) "         \
		      "ON CONFLICT (began_at) DO UPDATE SET asked = excluded.asked, different = excluded.different, " \
		      "not_kept = excluded.not_kept")                                                              \
	S(shadow_all, "SELECT began_at, asked, different, not_kept FROM shadow")                                   \
	S(shadow_row_clear, "DELETE FROM shadow_row")                                                              \
	S(shadow_row_put, "INSERT INTO shadow_row (key, \"user\", device, target, allowed, rule, shadow_rule, "  \
			  "shadow_code, times, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) " \
			  "ON CONFLICT (key) DO UPDATE SET rule = excluded.rule, shadow_rule = excluded.shadow_rule, " \
			  "shadow_code = excluded.shadow_code, times = excluded.times, last_at = excluded.last_at") \
	S(shadow_row_all, "SELECT key, \"user\", device, target, allowed, rule, shadow_rule, shadow_code, times, " \
			  "first_at, last_at FROM shadow_row ORDER BY first_at")                                   \
	S(login_failure_all, "SELECT kind, name, failures, failed_at, wait_until FROM login_failure")              \
	S(login_failure_old, "DELETE FROM login_failure WHERE failed_at < $1")                                     \
	S(login_failure_set, "INSERT INTO login_failure (kind, name, failures, failed_at, wait_until) "            \
			     "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, name) DO UPDATE SET failures = excluded.failures, " \
			     "failed_at = excluded.failed_at, wait_until = excluded.wait_until")                   \
	S(login_failure_clear, "DELETE FROM login_failure WHERE kind = $1 AND name = $2")                          \
	/* ---- second factor ---- */                                                                              \
	S(factor_get, "SELECT state, secret, last_step, failures, failed_at, created_at, coalesce(used_at, 0), "   \
		      "(SELECT count(*) FROM factor_recovery WHERE factor_recovery.\"user\" = factor.\"user\" "    \
		      "AND factor_recovery.used_at IS NULL), next_secret, next_at, next_failures FROM factor "     \
		      "WHERE \"user\" = $1")                                                                       \
	S(factor_put, "INSERT INTO factor (\"user\", state, secret, last_step, failures, failed_at, created_at) "  \
		      "VALUES ($1, $2, $3, 0, 0, 0, $4) ON CONFLICT (\"user\") DO UPDATE SET "                     \
		      "secret = excluded.secret, created_at = excluded.created_at WHERE factor.state = 'pending'") \
	S(factor_accept, "UPDATE factor SET state = 'active', last_step = $1, failures = 0, used_at = $2 "         \
			 "WHERE \"user\" = $3")                                                                    \
	S(factor_fail, "UPDATE factor SET failures = failures + 1, failed_at = $1 WHERE \"user\" = $2")            \
	S(factor_next_put, "UPDATE factor SET next_secret = $1, next_at = $2, next_failures = 0 WHERE \"user\" = $3") \
	S(factor_next_fail, "UPDATE factor SET next_failures = next_failures + 1 WHERE \"user\" = $1")             \
	S(factor_next_accept, "UPDATE factor SET secret = next_secret, next_secret = '', last_step = $1, failures = 0, " \
			      "created_at = $2, used_at = $3 WHERE \"user\" = $4")                                 \
	S(factor_delete, "DELETE FROM factor WHERE \"user\" = $1")                                                 \
	S(factor_recovery_insert, "INSERT INTO factor_recovery (\"user\", hash) VALUES ($1, $2)")                  \
	S(factor_recovery_use, "UPDATE factor_recovery SET used_at = $1 WHERE \"user\" = $2 AND hash = $3 "        \
			       "AND used_at IS NULL")                                                              \
	S(factor_recovery_used, "SELECT used_at FROM factor_recovery WHERE \"user\" = $1 AND used_at IS NOT NULL "  \
				"ORDER BY used_at")                                                                \
	S(factor_recovery_revoke, "DELETE FROM factor_recovery WHERE \"user\" = $1 AND used_at IS NULL")           \
	S(factor_recovery_delete, "DELETE FROM factor_recovery WHERE \"user\" = $1")                               \
	/* ---- alerts ---- */                                                                                     \
	S(spool_add, "INSERT INTO spool (alert, event, urgent, at, sequence, code, device, \"user\", address, detail) " \
		     "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")                                           \
	S(spool_next, "SELECT id, event, urgent, at, sequence, code, device, \"user\", address, detail, repeats FROM spool " \
		      "WHERE alert = $1 AND state = 'waiting' AND urgent >= $2 ORDER BY id LIMIT $3")              \
	S(spool_waiting, "SELECT count(*) FROM spool WHERE alert = $1 AND state = 'waiting' AND urgent >= $2")     \
	S(spool_delete, "DELETE FROM spool WHERE id = $1")                                                         \
	S(spool_sent, "DELETE FROM spool WHERE id = $1 AND repeats = $2")                                          \
	S(spool_alike, "SELECT count(*), coalesce(max(id), 0) FROM spool WHERE alert = $1 AND event = $2 AND device = $3 " \
		       "AND \"user\" = $4 AND code = $5 AND state = 'waiting'")                                    \
	S(spool_repeat, "UPDATE spool SET repeats = repeats + 1 WHERE id = $1")                                    \
	S(spool_failed, "UPDATE spool SET attempts = attempts + 1, trouble = $1 WHERE id = $2")                    \
	S(spool_aside, "UPDATE spool SET state = 'aside', attempts = attempts + 1, trouble = $1 WHERE id = $2")    \
	S(spool_again, "UPDATE spool SET state = 'waiting' WHERE id = $1 AND state = 'aside'")                     \
	S(spool_counts, "SELECT alert, state, count(*), min(at), max(trouble) FROM spool GROUP BY alert, state")   \
	S(spool_page, "SELECT id, alert, event, at, sequence, code, device, \"user\", address, detail, state, attempts, trouble, repeats " \
		      "FROM spool WHERE id > $1 ORDER BY id LIMIT $2")                                             \
	S(login_place_seen, "UPDATE login_place SET last_at = $1 WHERE \"user\" = $2 AND kind = $3 AND place = $4") \
	S(login_place_add, "INSERT INTO login_place (\"user\", kind, place, first_at, last_at) VALUES ($1, $2, $3, $4, $5)") \
	S(login_place_count, "SELECT count(*) FROM login_place WHERE \"user\" = $1 AND kind = $2")                 \
	S(login_place_old, "DELETE FROM login_place WHERE last_at < $1")                                           \
	S(gateway_print_get, "SELECT print FROM gateway_print WHERE name = $1")                                    \
	S(gateway_print_put, "INSERT INTO gateway_print (name, print) VALUES ($1, $2) "                            \
			     "ON CONFLICT (name) DO UPDATE SET print = excluded.print")                            \
	/* ---- policies ---- */                                                                                   \
	S(policy_version_last, "SELECT number, print FROM policy_version ORDER BY number DESC LIMIT 1")            \
	S(policy_version_insert, "INSERT INTO policy_version (number, since, print, recorded_at) VALUES ($1, $2, $3, $4)") \
	S(policy_version_unnamed, "SELECT number, print FROM policy_version WHERE recorded_at < $1 ORDER BY number LIMIT 1") \
	S(policy_version_named, "UPDATE policy_version SET recorded_at = $1 WHERE number = $2")                    \
	S(policy_version_page, "SELECT version.number, version.since, coalesce(next.since, 0), version.print, "    \
			       "(SELECT count(*) FROM policy_file WHERE policy_file.print = version.print) "       \
			       "FROM policy_version AS version LEFT JOIN policy_version AS next ON next.number = version.number + 1 " \
			       "WHERE version.number > $1 AND coalesce(next.since, $2 + 1) > $2 ORDER BY version.number LIMIT $3") \
	S(policy_version_one, "SELECT since, print FROM policy_version WHERE number = $1")                         \
	S(policy_version_old, "DELETE FROM policy_version WHERE number < "                                         \
			      "(SELECT coalesce(max(number), 0) FROM policy_version WHERE since <= $1)")           \
	S(policy_file_count, "SELECT count(*) FROM policy_file WHERE print = $1")                                  \
	S(policy_file_insert, "INSERT INTO policy_file (print, position, name, text) VALUES ($1, $2, $3, $4)")     \
	S(policy_file_all, "SELECT name, text FROM policy_file WHERE print = $1 ORDER BY position")                \
	S(policy_file_old, "DELETE FROM policy_file WHERE print NOT IN (SELECT print FROM policy_version)")        \
	/* ---- checkpoints ---- */                                                                                \
	S(checkpoint_insert, "INSERT INTO checkpoint (kind, gateway, sequence, hash, at, key, signature) "         \
			     "VALUES ($1, $2, $3, $4, $5, $6, $7)")                                                \
	S(checkpoint_last_cut, "SELECT coalesce(max(sequence), 0) FROM checkpoint WHERE kind = 'cut'")             \
	S(audit_oldest, "SELECT sequence, at, hash FROM audit ORDER BY sequence LIMIT $1")                         \
	S(audit_remove, "DELETE FROM audit WHERE sequence <= $1 AND sequence IN (SELECT sequence FROM audit ORDER BY sequence LIMIT $2)") \
	/* ---- audit ---- */                                                                                      \
	S(audit_last, "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")                           \
	S(audit_insert, "INSERT INTO audit (sequence, at, event, code, request_id, device, \"user\", address, "    \
			"detail, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")      \
	S(audit_page, "SELECT sequence, at, event, code, request_id, device, \"user\", address, detail, "          \
		      "previous_hash, hash FROM audit WHERE sequence > $1 AND sequence <= $2 AND at >= $3 "       \
		      "AND ($4 = '' OR \"user\" = $4) AND ($5 = '' OR device = $5) AND ($6 = '' OR code = $6) "    \
		      "AND ($7 = '' OR event = $7) AND ($8 = '' OR request_id = $8) ORDER BY sequence LIMIT $9")   \

#define STATEMENT_NUMBER(name_, ...) STATEMENT_##name_,
enum statement { STATEMENTS(STATEMENT_NUMBER) STATEMENT_COUNT };

#endif
