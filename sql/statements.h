/* statements.h: every statement that the broker runs, as rows: S(name, text).
 *
 * The text serves SQLite and PostgreSQL. Parameters are $1, $2, ... and appear first in that order (SQLite numbers
 * them by their first appearance; the store checks it when it prepares them). `user` is a word of SQL: quoted.
 */
#ifndef SALLYPORT_SQL_STATEMENTS_H
#define SALLYPORT_SQL_STATEMENTS_H

#define STATEMENTS(S)                                                                                              \
	/* ---- registry ---- */                                                                                   \
	S(device_all, "SELECT id, name, state, tags, generation, created_at, last_seen_at, last_seen_from FROM device") \
	S(device_user_all, "SELECT device, \"user\" FROM device_user ORDER BY device, \"user\"")                   \
	S(certificate_all, "SELECT fingerprint, serial, device, generation, public_key, key_kind, not_before, "    \
			   "not_after, state, issued_at FROM certificate ORDER BY device, generation")             \
	S(device_insert, "INSERT INTO device (id, name, state, tags, generation, created_at) "                     \
			 "VALUES ($1, $2, 'active', $3, $4, $5)")                                                  \
	S(device_user_insert, "INSERT INTO device_user (device, \"user\") VALUES ($1, $2)")                        \
	S(certificate_insert, "INSERT INTO certificate (fingerprint, serial, device, generation, public_key, "     \
			      "key_kind, not_before, not_after, state, issued_at) "                                \
			      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9)")                             \
	S(device_set_state, "UPDATE device SET state = $1 WHERE id = $2 AND (state <> 'revoked' OR $1 = 'revoked')") \
	S(certificate_revoke, "UPDATE certificate SET state = 'revoked' WHERE device = $1 AND state = 'active'")   \
	S(device_seen, "UPDATE device SET last_seen_at = $1, last_seen_from = $2 WHERE id = $3")                   \
	/* ---- sessions ---- */                                                                                   \
	S(session_live, "SELECT id, number, token_hash, device, \"user\", created_at, expires_at, address, "       \
			"connection FROM session WHERE ended_at IS NULL ORDER BY number")                          \
	S(session_newest_row, "SELECT coalesce(max(at), 0) FROM audit")                                            \
	S(session_last_number, "SELECT coalesce(max(number), 0) FROM session")                                     \
	S(session_insert, "INSERT INTO session (id, number, token_hash, device, \"user\", created_at, expires_at, " \
			  "address, connection) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")                      \
	S(session_extend, "UPDATE session SET expires_at = $1 WHERE id = $2 AND ended_at IS NULL")                 \
	S(session_end, "UPDATE session SET ended_at = $1, end_reason = $2 WHERE id = $3 AND ended_at IS NULL")     \
	S(session_end_device, "UPDATE session SET ended_at = $1, end_reason = $2 WHERE device = $3 AND ended_at IS NULL") \
	/* ---- tunnels ---- */                                                                                    \
	S(tunnel_last, "SELECT coalesce(max(id), 0) FROM tunnel")                                                  \
	S(tunnel_insert, "INSERT INTO tunnel (id, session, device, \"user\", rule, resource, requested_host, "     \
			 "requested_port, opened_at, connection, request_id) "                                     \
			 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")                                  \
	S(tunnel_address, "UPDATE tunnel SET address = $1 WHERE id = $2")                                          \
	S(tunnel_close, "UPDATE tunnel SET closed_at = $1, close_reason = $2, bytes_to_target = $3, "              \
			"bytes_to_client = $4 WHERE id = $5 AND closed_at IS NULL")                                \
	S(tunnel_count_open, "SELECT count(*) FROM tunnel WHERE closed_at IS NULL")                                \
	S(tunnel_close_open, "UPDATE tunnel SET closed_at = $1, close_reason = $2 WHERE closed_at IS NULL")        \
	S(tunnel_page, "SELECT tunnel.id, session, device.name, \"user\", rule, resource, requested_host, "        \
		       "requested_port, address, bytes_to_target, bytes_to_client, opened_at, closed_at, "         \
		       "close_reason, connection, request_id FROM tunnel JOIN device ON device.id = tunnel.device " \
		       "WHERE tunnel.id > $1 ORDER BY tunnel.id LIMIT $2")                                         \
	/* ---- audit ---- */                                                                                      \
	S(audit_last, "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")                           \
	S(audit_insert, "INSERT INTO audit (sequence, at, event, code, request_id, device, \"user\", address, "    \
			"detail, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")      \
	S(audit_page, "SELECT sequence, at, event, code, request_id, device, \"user\", address, detail, "          \
		      "previous_hash, hash FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2")

#define STATEMENT_NUMBER(name_, ...) STATEMENT_##name_,
enum statement { STATEMENTS(STATEMENT_NUMBER) STATEMENT_COUNT };

#endif
