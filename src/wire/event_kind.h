/* The kinds of events: what nodes tell about themselves and the cluster. docs/events.md prints this
 * table; a new kind is one row. A kind whose table is not "" carries a patch of a row of it. */
#ifndef WIRE_EVENT_KIND_H
#define WIRE_EVENT_KIND_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

/* Who tells it. What only the leader tells is behind what the next leader tells, when it comes from
 * another node than that. */
enum event_teller { EVENT_BY_ANY, EVENT_BY_LEADER };

/* X(symbol, name, level, table, teller, help) */
#define EVENT_KIND_LIST(X)                                                                         \
    X(EVENT_NODE_JOIN, "node.join", INFO, "nodes", LEADER, "a node is a member from now on")       \
    X(EVENT_NODE_LEAVE, "node.leave", INFO, "nodes", LEADER, "a node said goodbye")                \
    X(EVENT_NODE_REMOVE, "node.remove", WARN, "nodes", LEADER, "a node is no member any more")     \
    X(EVENT_NODE_CHANGE, "node.change", INFO, "nodes", LEADER,                                     \
      "what a node is or offers has changed")                                                      \
    X(EVENT_NODE_ONLINE, "node.online", INFO, "nodes", LEADER, "a node is heard")                  \
    X(EVENT_NODE_LATE, "node.late", DEBUG, "", LEADER, "a heartbeat came late")                    \
    X(EVENT_NODE_SUSPECT, "node.suspect", WARN, "nodes", LEADER,                                   \
      "heartbeats of a node are missing")                                                          \
    X(EVENT_NODE_OFFLINE, "node.offline", ERROR, "nodes", LEADER, "a node is silent for too long") \
    X(EVENT_NODE_DRAIN, "node.drain", WARN, "nodes", LEADER, "a node gets no new work")            \
    X(EVENT_NODE_RESUME, "node.resume", INFO, "nodes", LEADER, "a node gets work again")           \
    X(EVENT_NODE_STALL, "node.stall", WARN, "", ANY,                                               \
      "the process that watches the others stood still")                                           \
    X(EVENT_LINK_UP, "link.up", DEBUG, "", ANY, "two nodes are connected")                         \
    X(EVENT_LINK_DOWN, "link.down", WARN, "", ANY, "two nodes are not connected any more")         \
    X(EVENT_RAFT_PREVOTE, "raft.prevote", DEBUG, "", ANY,                                          \
      "a node asks whether it would be elected")                                                   \
    X(EVENT_RAFT_ELECTION, "raft.election", INFO, "", ANY,                                         \
      "a node wants to lead: an election began")                                                   \
    X(EVENT_RAFT_TERM, "raft.term", DEBUG, "", ANY, "a node is in another term")                   \
    X(EVENT_RAFT_LEAD, "raft.lead", INFO, "elections", LEADER,                                     \
      "a node has won the lead of the cluster")                                                    \
    X(EVENT_RAFT_LOST, "raft.lost", WARN, "", ANY, "a node has lost the lead of the cluster")      \
    X(EVENT_RAFT_NONE, "raft.none", ERROR, "", ANY, "a node knows no leader")                      \
    X(EVENT_RAFT_MEMBER, "raft.member", INFO, "raft", LEADER,                                      \
      "a replica of the cluster's state changed")                                                  \
    X(EVENT_CHAT_ELECTION, "chat.election", INFO, "", ANY, "a node wants to lead the chat")        \
    X(EVENT_CHAT_PROMISE, "chat.promise", DEBUG, "", ANY, "a node promised to follow a term")      \
    X(EVENT_CHAT_LEAD, "chat.lead", INFO, "elections", ANY, "a node has won the lead of the chat") \
    X(EVENT_CHAT_LOST, "chat.lost", WARN, "", ANY, "a node has lost the lead of the chat")         \
    X(EVENT_CHAT_TERM, "chat.term", DEBUG, "", ANY, "a node's chat is in another term")            \
    X(EVENT_CHAT_MEMBER, "chat.member", INFO, "chat", LEADER, "a member of the chat has changed")  \
    X(EVENT_JOB_SUBMIT, "job.submit", INFO, "jobs", LEADER, "a job was submitted")                 \
    X(EVENT_JOB_STATE, "job.state", INFO, "jobs", LEADER, "a job is in another state")             \
    X(EVENT_JOB_FAIL, "job.fail", WARN, "jobs", LEADER, "a job has failed")                        \
    X(EVENT_JOB_MANY, "job.many", INFO, "", LEADER, "edges of many jobs, summed up")               \
    X(EVENT_TASK_STATE, "task.state", DEBUG, "tasks", LEADER,                                      \
      "an attempt at a task began or ended")                                                       \
    X(EVENT_TASK_FAIL, "task.fail", WARN, "tasks", LEADER,                                         \
      "an attempt at a task has failed or is lost")                                                \
    X(EVENT_TASK_MANY, "task.many", DEBUG, "jobs", LEADER,                                         \
      "edges of a busy job's tasks, summed up")                                                    \
    X(EVENT_QUERY_BEGIN, "query.begin", DEBUG, "queries", ANY, "an SQL statement began")           \
    X(EVENT_QUERY_STAGE, "query.stage", DEBUG, "stages", ANY,                                      \
      "a stage of a statement began or ended")                                                     \
    X(EVENT_QUERY_END, "query.end", DEBUG, "queries", ANY, "a statement has ended")                \
    X(EVENT_QUERY_FAIL, "query.fail", WARN, "queries", ANY, "a statement has failed")              \
    X(EVENT_TXN_STATE, "txn.state", INFO, "transactions", ANY,                                     \
      "a transaction is in another state")                                                         \
    X(EVENT_TXN_DOUBT, "txn.doubt", WARN, "transactions", ANY, "a node waits for a decision")      \
    X(EVENT_ROLLOUT_STATE, "rollout.state", INFO, "rollouts", LEADER,                              \
      "a rollout is in another state")                                                             \
    X(EVENT_ROLLOUT_GATE, "rollout.gate", WARN, "rollouts", LEADER,                                \
      "a gate of a rollout has judged")                                                            \
    X(EVENT_ROUTING_VERSION, "routing.version", INFO, "routing", ANY,                              \
      "a node serves a new version")                                                               \
    X(EVENT_STORE_TROUBLE, "store.trouble", WARN, "", ANY, "the object store fails or is slow")    \
    X(EVENT_STORE_WELL, "store.well", INFO, "", ANY, "the object store answers again")             \
    X(EVENT_DISK_FULL, "disk.full", ERROR, "", ANY, "a disk of the cluster is full")               \
    X(EVENT_DISK_ROOM, "disk.room", INFO, "", ANY, "a disk has room again")                        \
    X(EVENT_DAEMON_START, "daemon.start", INFO, "", ANY, "clusterd has started")                   \
    X(EVENT_DAEMON_STOP, "daemon.stop", INFO, "", ANY, "clusterd is being stopped")                \
    X(EVENT_OPERATOR_COMMAND, "operator.command", INFO, "", ANY, "a person changed something")     \
    X(EVENT_LOG_RECORD, "log.record", INFO, "", ANY, "a record of a node's log")                   \
    X(EVENT_COLLECT_BEGIN, "events.collector", INFO, "", ANY,                                      \
      "another node collects: get a new frame")                                                    \
    X(EVENT_DROPPED, "events.dropped", WARN, "", ANY, "events of a node were lost")                \
    X(EVENT_STATE_ROW, "state.row", DEBUG, "", ANY, "a row of the state, without anything to tell")

enum event_kind {
    EVENT_NONE, /* from another version */
#define EVENT_KIND_ENUM(symbol, name, level, table, teller, help) symbol,
    EVENT_KIND_LIST(EVENT_KIND_ENUM)
#undef EVENT_KIND_ENUM
        EVENT_KINDS
};

struct event_kind_row {
    const char *name;
    enum log_level level;
    const char *table; /* "": carries no patch, or of any table */
    enum event_teller teller;
    const char *help;
};

const struct event_kind_row *event_kind_row(enum event_kind kind); /* not EVENT_NONE */
enum event_kind event_kind_find(const char *name);                 /* EVENT_NONE when unknown */

/* Whether only the leader tells patches of this kind and table: of a kind without a table of its
 * own (or an unknown one) when it alone tells another kind with that table. */
bool event_kind_is_leaders(const char *name, const char *table);

enum { EVENT_PATTERNS_MAX = 32, EVENT_PATTERN_BYTES_MAX = 512 };

/* Whether `name` is among "job.*,raft.lead": names, or what they begin with and ".*". */
bool event_kind_matches(const char *patterns, const char *name);
/* ERR_INVALID with the reason: malformed, or a pattern that no kind can match. */
int event_kind_check_patterns(const char *patterns, struct error *e);

/* Appends the table in Markdown. 0 or ERR_TOO_LARGE. */
int event_kind_print(struct buf *out);

#endif
