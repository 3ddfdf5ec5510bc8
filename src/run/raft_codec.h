/* libraft's structures as the messages of wire/raft.proto, and back. What comes back from a message
 * is checked: libraft asserts and trusts. */
#ifndef RUN_RAFT_CODEC_H
#define RUN_RAFT_CODEC_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/raft.pb-c.h"

/* ---- configurations ---------------------------------------------------------------------------
 */

/* Malloc'ed copy; free with wire__raft_configuration__free_unpacked(c, NULL). */
Wire__RaftConfiguration *raft_codec_from_configuration(const struct raft_configuration *from);

/* Fills the initialised `to`; ERR_PROTOCOL for ids of 0 or twice, roles that don't exist. */
int raft_codec_to_configuration(const Wire__RaftConfiguration *from, struct raft_configuration *to);

int raft_codec_copy_configuration(const struct raft_configuration *from,
                                  struct raft_configuration *to);

/* Whether `data` is what raft_configuration_encode() makes: the content of a RAFT_CHANGE entry. */
bool raft_codec_is_configuration(const void *data, size_t len);

/* ---- messages ---------------------------------------------------------------------------------
 */

/* Entries of an AppendEntries as messages that refer to libraft's memory. */
struct raft_codec_entries {
    Wire__RaftEntry *entries;
    Wire__RaftEntry **pointers;
};

void raft_codec_entries_init(struct raft_codec_entries *out, const struct raft_entry *entries,
                             unsigned count);
void raft_codec_entries_done(struct raft_codec_entries *entries);

/* All kinds but AppendEntries and InstallSnapshot; the result refers to `body`. */
union raft_codec_body {
    Wire__RaftAppendEntriesResult append_entries_result;
    Wire__RaftRequestVote request_vote;
    Wire__RaftRequestVoteResult request_vote_result;
    Wire__RaftTimeoutNow timeout_now;
};

void raft_codec_encode(const struct raft_message *from, union raft_codec_body *body,
                       Wire__RaftMessage *to);

/* 0, or ERR_PROTOCOL for what is no message for libraft or is malformed. */
int raft_codec_check(const Wire__RaftMessage *message);

/* Fills type and content of `to` from a message that was checked, with memory of raft_malloc that
 * libraft takes over. */
void raft_codec_decode(const Wire__RaftMessage *from, struct raft_message *to);

#endif
