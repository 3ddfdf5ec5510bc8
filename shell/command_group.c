#include "shell/command_group.h"

#include <string.h>

#include "base/str.h"

const struct command_group command_groups[] = {
    {"job", "submit, watch and end jobs of a cluster",
     "A job is commands with everything they need: files, variables, limits, and which nodes will "
     "do. "
     "It has one element, or as many as its array asks for. Each try at an element on some node is "
     "an "
     "attempt; the first attempt that completes counts, and an element completes once.\n\n"
     "A job is named by its id, by any unique beginning of it, or by last, the one that you "
     "submitted "
     "last; ID_7 is element 7 of an array. States are pending, running, completed, failed and "
     "cancelled. Why a job is still pending stands in job show.\n\n"
     "What an element writes is kept on the node that ran it for worker.output_keep; streams of up "
     "to "
     "4 KiB are kept by the cluster itself.",
     "clustersh(1) clustersh-exec(1) clustersh-file(1) clustersh-node(1)"},
    {"exec", "run a command on every node of a set",
     "Unlike a job the command runs now, on each node that is named, and nothing of it is kept.",
     "clustersh(1) clustersh-job(1) clustersh-node(1)"},
    {"node", "list, drain and remove nodes of a cluster",
     "A node is one clusterd with its own data directory. It is online while its heartbeats come, "
     "suspect after jobs.suspect_after of silence, when it gets no new work, and offline after "
     "jobs.offline_after, when its work goes to others. A drained node goes on with what it runs "
     "and "
     "gets nothing new.",
     "clustersh(1) clustersh-job(1) clustersh-raft(1) clusterd.yaml(5)"},
    {"status", "show the node that answers",
     "What a single node says of itself, without asking the leader: it also answers when there is "
     "none.",
     "clustersh(1) clustersh-node(1) clustersh-raft(1)"},
    {"query", "look after the SQL statements that run",
     "The node that took a statement coordinates it; here all nodes are asked, so that it does not "
     "matter which one answers.",
     "clustersh(1) clustersh-sql(7)"},
    {"raft", "look after the metadata group",
     "The metadata nodes keep the state of the cluster by Raft: a change is acknowledged when a "
     "majority of the voters has it on disk. One of them leads and coordinates everything. With "
     "three "
     "voters one may fail, with five two. Metadata nodes beyond raft.voters_max stand by.",
     "clustersh(1) clustersh-election(1) clustersh-node(1)"},
    {"election", "show who leads what, and why",
     "Two groups elect a leader: the metadata nodes by Raft, the chat nodes by the Bully "
     "algorithm, in "
     "which the highest priority that is alive and linked to a majority leads.",
     "clustersh(1) clustersh-chat(1) clustersh-raft(1)"},
    {"events", "show what happened in a cluster, and what happens",
     "Every node tells what it sees: heartbeats that are missing, elections, jobs and attempts, "
     "statements, rollouts, what people do, records of its log. The node that leads collects it, "
     "and every node answers. Events are kept for events.keep, also when the nodes that told them "
     "are no more.",
     "clustersh(1) clustersh-node(1) clustersh-report(1) clusterd.yaml(5)"},
    {"report", "write all that is known of a cluster to a file",
     "For whoever looks into a problem without being able to reach the cluster, or later.",
     "clustersh(1) clustersh-events(1) clusterd(8)"},
    {"chat", "talk on the ordered log of a cluster",
     "The chat is one log in one order on every node with the role chat: what one node shows as "
     "number "
     "7 all show as number 7. A message is acknowledged when a majority has it on disk, and comes "
     "once "
     "however often it is sent again.",
     "clustersh(1) clustersh-election(1) clusterd.yaml(5)"},
    {"model", "name the models that rollouts move traffic between",
     "A model answers the requests of a service: an HTTP server at a URL, or the built-in model "
     "that "
     "gives back what it gets. Adding a model moves no traffic; rollout start does.",
     "clustersh(1) clustersh-rollout(1) clustersh-routing(1)"},
    {"rollout", "move the traffic of a service to another model",
     "A rollout moves a service's traffic from its model to another in steps, on all nodes at "
     "once, and "
     "takes it back at a word. Every step is one transaction by two-phase commit: it happens on "
     "every "
     "node or on none. Gates look at errors and latencies of the new model and end the rollout "
     "when "
     "they are not met.",
     "clustersh(1) clustersh-model(1) clustersh-routing(1)"},
    {"routing", "show what every node serves",
     "Each node with the role participant serves models at data.listen, at /predict/SERVICE, split "
     "by "
     "the weights that its routing table has.",
     "clustersh(1) clustersh-model(1) clustersh-rollout(1)"},
    {"kv", "keep small values in the state of a cluster",
     "Keys and values of up to 64 KiB, replicated like everything else that the metadata group "
     "keeps. A "
     "change can be made to depend on the version that it replaces.",
     "clustersh(1) clustersh-raft(1)"},
    {"file", "upload files for jobs",
     "An uploaded file is kept on two nodes and named by its id; jobs take it with --file id:ID. A "
     "file "
     "that no job needs any more is removed.",
     "clustersh(1) clustersh-job(1)"},
    {"audit", "list who changed what",
     "Every change that an operator asked for is in the audit trail: jobs submitted and cancelled, "
     "nodes "
     "drained, leads handed over, rollouts started, transactions resolved.",
     "clustersh(1)"},
    {.name = NULL},
};

const struct command_group *command_group_find(const char *name)
{
    for (const struct command_group *group = command_groups; group->name != NULL; group++) {
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

bool command_group_has(const struct command_group *group, const struct command *command)
{
    size_t len = strlen(group->name);
    return str_starts_with(command->name, group->name) &&
           (command->name[len] == '\0' || command->name[len] == ' ');
}
