/* The rows, each defined in the file of its command (cmd_*.c), and columns that several share. */
#ifndef SHELL_COMMANDS_H
#define SHELL_COMMANDS_H

#include "shell/column.h"
#include "shell/command.h"

extern const struct command cmd_audit;
extern const struct command cmd_chat;
extern const struct command cmd_chat_members;
extern const struct command cmd_chat_send;
extern const struct command cmd_chat_tail;
extern const struct command cmd_chat_transfer;
extern const struct command cmd_events;
extern const struct command cmd_report;
extern const struct command cmd_election_show;
extern const struct command cmd_exec;
extern const struct command cmd_exit;
extern const struct command cmd_file_upload;
extern const struct command cmd_help;
extern const struct command cmd_job_cancel;
extern const struct command cmd_job_list;
extern const struct command cmd_job_logs;
extern const struct command cmd_job_results;
extern const struct command cmd_job_retry;
extern const struct command cmd_job_run;
extern const struct command cmd_job_show;
extern const struct command cmd_job_submit;
extern const struct command cmd_job_tasks;
extern const struct command cmd_job_wait;
extern const struct command cmd_kv_delete;
extern const struct command cmd_kv_get;
extern const struct command cmd_kv_list;
extern const struct command cmd_kv_put;
extern const struct command cmd_model_add;
extern const struct command cmd_model_list;
extern const struct command cmd_model_remove;
extern const struct command cmd_node_drain;
extern const struct command cmd_node_list;
extern const struct command cmd_node_remove;
extern const struct command cmd_node_resume;
extern const struct command cmd_node_show;
extern const struct command cmd_query_cancel;
extern const struct command cmd_query_list;
extern const struct command cmd_quit;
extern const struct command cmd_raft_add;
extern const struct command cmd_raft_remove;
extern const struct command cmd_raft_status;
extern const struct command cmd_raft_transfer;
extern const struct command cmd_rollout_abort;
extern const struct command cmd_rollout_freeze;
extern const struct command cmd_rollout_history;
extern const struct command cmd_rollout_indoubt;
extern const struct command cmd_rollout_pause;
extern const struct command cmd_rollout_promote;
extern const struct command cmd_rollout_resolve;
extern const struct command cmd_rollout_resume;
extern const struct command cmd_rollout_retry;
extern const struct command cmd_rollout_rollback;
extern const struct command cmd_rollout_start;
extern const struct command cmd_rollout_status;
extern const struct command cmd_routing_show;
extern const struct command cmd_status;

extern const struct command cmd_meta_aligned;
extern const struct command cmd_meta_at;
extern const struct command cmd_meta_c;
extern const struct command cmd_meta_cd;
extern const struct command cmd_meta_connect;
extern const struct command cmd_meta_conninfo;
extern const struct command cmd_meta_copy;
extern const struct command cmd_meta_describe;
extern const struct command cmd_meta_echo;
extern const struct command cmd_meta_edit;
extern const struct command cmd_meta_elif;
extern const struct command cmd_meta_else;
extern const struct command cmd_meta_endif;
extern const struct command cmd_meta_errverbose;
extern const struct command cmd_meta_expanded;
extern const struct command cmd_meta_functions;
extern const struct command cmd_meta_g;
extern const struct command cmd_meta_getenv;
extern const struct command cmd_meta_gdesc;
extern const struct command cmd_meta_gexec;
extern const struct command cmd_meta_gset;
extern const struct command cmd_meta_gx;
extern const struct command cmd_meta_help;
extern const struct command cmd_meta_history;
extern const struct command cmd_meta_if;
extern const struct command cmd_meta_include;
extern const struct command cmd_meta_include_relative;
extern const struct command cmd_meta_list;
extern const struct command cmd_meta_output;
extern const struct command cmd_meta_print;
extern const struct command cmd_meta_prompt;
extern const struct command cmd_meta_pset;
extern const struct command cmd_meta_qecho;
extern const struct command cmd_meta_quit;
extern const struct command cmd_meta_reset;
extern const struct command cmd_meta_set;
extern const struct command cmd_meta_setenv;
extern const struct command cmd_meta_shell;
extern const struct command cmd_meta_sql_help;
extern const struct command cmd_meta_tables;
extern const struct command cmd_meta_timing;
extern const struct command cmd_meta_top;
extern const struct command cmd_meta_tuples;
extern const struct command cmd_meta_unset;
extern const struct command cmd_meta_warn;
extern const struct command cmd_meta_watch;
extern const struct command cmd_meta_write;

extern const struct column cmd_job_columns[];
extern const struct column cmd_job_task_columns[];

#endif
