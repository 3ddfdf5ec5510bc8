/* The metrics: one row each. Columns: id, name, type, unit, buckets, labels, help. Names as
 * https://prometheus.io/docs/practices/naming/ advises; tests/unit/metric_test.c has its rules. */
#ifndef BASE_METRIC_ROWS_H
#define BASE_METRIC_ROWS_H

/* clang-format off */
#define METRIC_ROWS(ROW)                                                                           \
    /* the process */                                                                              \
    ROW(BUILD_INFO, "clusterd_build_info", GAUGE, NONE, NO_BUCKETS, "version,node", "Always 1; the version that runs and the name of the node") \
    ROW(PROCESS_CPU_SECONDS, "process_cpu_seconds_total", COUNTER, SECONDS, NO_BUCKETS, "", "Processor time used by the daemon, without its children") \
    ROW(PROCESS_RESIDENT_BYTES, "process_resident_memory_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Resident memory of the daemon") \
    ROW(PROCESS_VIRTUAL_BYTES, "process_virtual_memory_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Virtual memory of the daemon") \
    ROW(PROCESS_OPEN_FDS, "process_open_fds", GAUGE, NONE, NO_BUCKETS, "", "Open file descriptors") \
    ROW(PROCESS_MAX_FDS, "process_max_fds", GAUGE, NONE, NO_BUCKETS, "", "Most file descriptors that may be open") \
    ROW(PROCESS_START, "process_start_time_seconds", GAUGE, SECONDS, NO_BUCKETS, "", "When the daemon was started, since the epoch") \
    ROW(DISK_SIZE, "clusterd_disk_size_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Size of the file system of the data directory") \
    ROW(DISK_FREE, "clusterd_disk_free_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Room left on the file system of the data directory") \
    ROW(LOOP_TURNS, "clusterd_loop_turns_total", COUNTER, NONE, NO_BUCKETS, "", "Turns of the event loop") \
    ROW(LOOP_SLOW_TURNS, "clusterd_loop_slow_turns_total", COUNTER, NONE, NO_BUCKETS, "", "Turns of the event loop that took longer than 50 ms") \
    ROW(LOG_RECORDS, "clusterd_log_records_total", COUNTER, NONE, NO_BUCKETS, "level", "Records written to the daemon's own log") \
    ROW(QUEUE_LENGTH, "clusterd_queue_length", GAUGE, NONE, NO_BUCKETS, "queue", "What waits or is under way: proposals (Raft), spawner (commands), sql_tasks, object_store (operations), chat (messages)") \
    /* nodes */                                                                                    \
    ROW(HEARTBEATS_SENT, "clusterd_heartbeats_sent_total", COUNTER, NONE, NO_BUCKETS, "", "Heartbeats sent to the leader") \
    ROW(HEARTBEATS_RECEIVED, "clusterd_heartbeats_received_total", COUNTER, NONE, NO_BUCKETS, "peer", "Heartbeats received while this node leads") \
    ROW(HEARTBEATS_MISSED, "clusterd_heartbeats_missed_total", COUNTER, NONE, NO_BUCKETS, "peer", "Heartbeats that did not come when they were due, counted when the next one comes") \
    ROW(HEARTBEAT_ROUND_TRIP, "clusterd_heartbeat_round_trip_seconds", HISTOGRAM, SECONDS, LATENCY, "", "From a heartbeat to the leader's acknowledgement") \
    ROW(NODES, "clusterd_nodes", GAUGE, NONE, NO_BUCKETS, "state", "Members by state, as the leader sees them; only on the leader") \
    ROW(NODE_CHANGES, "clusterd_node_changes_total", COUNTER, NONE, NO_BUCKETS, "peer,state", "Changes of a member's state that this leader saw") \
    /* links */                                                                                    \
    ROW(LINK_UP, "clusterd_link_up", GAUGE, NONE, NO_BUCKETS, "peer", "1 while the link to this member is up, 0 when it should be and is not") \
    ROW(LINK_CONNECTS, "clusterd_link_connects_total", COUNTER, NONE, NO_BUCKETS, "peer", "How often the link to this member came up") \
    ROW(LINK_FRAMES, "clusterd_link_frames_total", COUNTER, NONE, NO_BUCKETS, "peer,direction", "Frames received (in) and sent (out)") \
    ROW(LINK_BYTES, "clusterd_link_bytes_total", COUNTER, BYTES, NO_BUCKETS, "peer,direction", "Bytes of frames received (in) and sent (out), before TLS") \
    ROW(LINK_QUEUED, "clusterd_link_queued_bytes", GAUGE, BYTES, NO_BUCKETS, "peer", "Bytes that wait to be sent to this member") \
    ROW(LINK_ROUND_TRIP, "clusterd_link_round_trip_seconds", GAUGE, SECONDS, NO_BUCKETS, "peer", "Smoothed round trip time of the link to this member") \
    ROW(LINKS_SILENT, "clusterd_links_silent_total", COUNTER, NONE, NO_BUCKETS, "", "Links given up because nothing came over them") \
    ROW(LINKS_REFUSED, "clusterd_links_refused_total", COUNTER, NONE, NO_BUCKETS, "", "Links refused: another cluster, protocol, secret or certificate") \
    /* who leads */                                                                                \
    ROW(LEADING, "clusterd_leading", GAUGE, NONE, NO_BUCKETS, "group", "1 on the node that leads the group (cluster, chat)") \
    ROW(LEADER_KNOWN, "clusterd_leader_known", GAUGE, NONE, NO_BUCKETS, "group", "1 when this node knows who leads the group") \
    ROW(TERM, "clusterd_term", GAUGE, NONE, NO_BUCKETS, "group", "Term of the group, as this node knows it") \
    ROW(LEADER_CHANGES, "clusterd_leader_changes_total", COUNTER, NONE, NO_BUCKETS, "group", "Changes of leader or term that this node heard of") \
    ROW(ELECTIONS_STARTED, "clusterd_elections_started_total", COUNTER, NONE, NO_BUCKETS, "group", "Elections that this node began") \
    ROW(ELECTIONS_WON, "clusterd_elections_won_total", COUNTER, NONE, NO_BUCKETS, "group", "Elections that this node won") \
    /* events */                                                                                   \
    ROW(EVENTS_MIRROR_LAG, "clusterd_events_mirror_lag", GAUGE, NONE, NO_BUCKETS, "peer", "Collected events that this node, which may collect next, does not have yet; only on the leader") \
    ROW(EVENTS_LOST, "clusterd_events_lost_total", COUNTER, NONE, NO_BUCKETS, "peer", "Events of a node that were not kept until this node, which collects, could have them") \
    /* raft and logs */                                                                            \
    ROW(RAFT_COMMIT_INDEX, "clusterd_raft_commit_index", GAUGE, NONE, NO_BUCKETS, "", "Last entry that a majority has") \
    ROW(RAFT_APPLIED_INDEX, "clusterd_raft_applied_index", GAUGE, NONE, NO_BUCKETS, "", "Last entry that is applied to this node's state") \
    ROW(RAFT_LAST_INDEX, "clusterd_raft_last_index", GAUGE, NONE, NO_BUCKETS, "", "Last entry of this node's log") \
    ROW(RAFT_SNAPSHOT_INDEX, "clusterd_raft_snapshot_index", GAUGE, NONE, NO_BUCKETS, "", "Entry of the last snapshot") \
    ROW(RAFT_LOG_BYTES, "clusterd_raft_log_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Entries in the log behind the last snapshot") \
    ROW(RAFT_PROPOSALS, "clusterd_raft_proposals_total", COUNTER, NONE, NO_BUCKETS, "result", "Batches of changes proposed on this node: ok, or the error's code") \
    ROW(RAFT_BATCH, "clusterd_raft_batch_changes", HISTOGRAM, NONE, COUNTS, "", "Changes in a batch") \
    ROW(RAFT_COMMIT, "clusterd_raft_commit_seconds", HISTOGRAM, SECONDS, LATENCY, "", "From proposing a batch to a majority having it on disk") \
    ROW(RAFT_APPLY, "clusterd_raft_apply_seconds", HISTOGRAM, SECONDS, LATENCY, "", "From there until it is applied to this node's state") \
    ROW(SNAPSHOTS, "clusterd_raft_snapshots_total", COUNTER, NONE, NO_BUCKETS, "kind", "Snapshots taken of the state, and received from the leader") \
    ROW(LOG_SYNC, "clusterd_log_sync_seconds", HISTOGRAM, SECONDS, LATENCY, "log", "One durable write to a log on disk (raft, chat, routing)") \
    ROW(LOG_BATCH, "clusterd_log_batch_records", HISTOGRAM, NONE, COUNTS, "log", "Records in one durable write") \
    ROW(LOG_BYTES, "clusterd_log_written_bytes_total", COUNTER, BYTES, NO_BUCKETS, "log", "Bytes written durably") \
    /* jobs */                                                                                     \
    ROW(JOBS, "clusterd_jobs", GAUGE, NONE, NO_BUCKETS, "state", "Jobs that have not ended: waiting have elements without a place; only on the leader") \
    ROW(ELEMENTS, "clusterd_elements", GAUGE, NONE, NO_BUCKETS, "state", "Elements that are pending or assigned to nodes; only on the leader") \
    ROW(JOBS_SUBMITTED, "clusterd_jobs_submitted_total", COUNTER, NONE, NO_BUCKETS, "", "Jobs that this leader took") \
    ROW(JOBS_ENDED, "clusterd_jobs_ended_total", COUNTER, NONE, NO_BUCKETS, "state", "Jobs that ended under this leader") \
    ROW(JOB_DURATION, "clusterd_job_duration_seconds", HISTOGRAM, SECONDS, SPAN, "", "From the submit of a job to its end") \
    ROW(ATTEMPTS, "clusterd_attempts_total", COUNTER, NONE, NO_BUCKETS, "state", "Attempts by the states they came to; the rate of assigned is the rate of dispatch; only on the leader") \
    ROW(TASKS, "clusterd_tasks", GAUGE, NONE, NO_BUCKETS, "state", "Attempts that run or wait for a slot on this node") \
    ROW(FILE_CACHE, "clusterd_file_cache_requests_total", COUNTER, NONE, NO_BUCKETS, "result", "Uploaded files that tasks asked for: hit (kept here), shared (with a fetch under way), miss (fetched and kept), store (this node holds the upload), straight (not kept)") \
    ROW(URL_CACHE, "clusterd_url_cache_requests_total", COUNTER, NONE, NO_BUCKETS, "result", "Files by URL that tasks asked for: hit (kept here and fresh), checked (kept here, the server was asked), shared (with a download or a question under way), miss (downloaded), straight (not to be kept)") \
    ROW(TASKS_ENDED, "clusterd_tasks_ended_total", COUNTER, NONE, NO_BUCKETS, "result", "Attempts that ended on this node: ok, or why not") \
    ROW(TASK_DURATION, "clusterd_task_duration_seconds", HISTOGRAM, SECONDS, SPAN, "", "Run time of attempts on this node") \
    /* SQL */                                                                                      \
    ROW(SQL_QUERIES, "clusterd_sql_queries_total", COUNTER, NONE, NO_BUCKETS, "result", "Statements that ended on this node: ok, or the error's code") \
    ROW(SQL_ACTIVE, "clusterd_sql_active_queries", GAUGE, NONE, NO_BUCKETS, "state", "Statements that run or wait on this node") \
    ROW(SQL_QUERY, "clusterd_sql_query_seconds", HISTOGRAM, SECONDS, SPAN, "", "From a statement's arrival to its end") \
    ROW(SQL_STAGE, "clusterd_sql_stage_seconds", HISTOGRAM, SECONDS, SPAN, "", "Run time of a stage of a statement of this node; its count is the stages") \
    ROW(SQL_STAGE_ROWS, "clusterd_sql_stage_rows_total", COUNTER, NONE, NO_BUCKETS, "", "Rows that stages gave") \
    ROW(SQL_STAGE_BYTES, "clusterd_sql_stage_bytes_total", COUNTER, BYTES, NO_BUCKETS, "", "Bytes that stages gave") \
    ROW(SQL_TASKS, "clusterd_sql_tasks_total", COUNTER, NONE, NO_BUCKETS, "result", "SQL tasks that ended on this node: ok, or the error's code") \
    ROW(SQL_TASK, "clusterd_sql_task_seconds", HISTOGRAM, SECONDS, SPAN, "", "Run time of SQL tasks on this node, waiting for an executor included") \
    ROW(SQL_ROWS, "clusterd_sql_result_rows_total", COUNTER, NONE, NO_BUCKETS, "", "Rows given to clients") \
    ROW(TABLE_CHECKPOINTS_BAD, "clusterd_table_checkpoints_unreadable_total", COUNTER, NONE, NO_BUCKETS, "", "Checkpoints of tables that could not be read: an older one, or the whole log, was taken instead") \
    ROW(OBJECT_OPERATIONS, "clusterd_object_operations_total", COUNTER, NONE, NO_BUCKETS, "operation,result", "Operations of the object store: ok, or the error's code") \
    ROW(OBJECT_OPERATION, "clusterd_object_operation_seconds", HISTOGRAM, SECONDS, LATENCY, "operation", "Time of operations of the object store, retries included") \
    ROW(OBJECT_BYTES, "clusterd_object_bytes_total", COUNTER, BYTES, NO_BUCKETS, "direction", "Bytes read from and written to the object store") \
    ROW(OBJECT_RETRIES, "clusterd_object_retries_total", COUNTER, NONE, NO_BUCKETS, "", "Requests to buckets that were sent again") \
    ROW(OBJECT_CACHE_SIZE, "clusterd_object_cache_bytes", GAUGE, BYTES, NO_BUCKETS, "", "Parts of objects in buckets that are kept on this node's disk") \
    ROW(OBJECT_CACHE_ASKED, "clusterd_object_cache_read_bytes_total", COUNTER, BYTES, NO_BUCKETS, "from", "Bytes of objects that tasks asked for: there already (cache) or fetched (store)") \
    ROW(OBJECT_CACHE_EVICTIONS, "clusterd_object_cache_evictions_total", COUNTER, NONE, NO_BUCKETS, "", "Files that went to make room") \
    ROW(OBJECT_CACHE_DAMAGED, "clusterd_object_cache_damaged_total", COUNTER, NONE, NO_BUCKETS, "", "Ranges that were found to be other than recorded, and fetched again") \
    /* chat */                                                                                     \
    ROW(CHAT_SUBMITS, "clusterd_chat_submits_total", COUNTER, NONE, NO_BUCKETS, "result", "Messages that clients sent through this node: ok, or the error's code") \
    ROW(CHAT_SUBMIT, "clusterd_chat_submit_seconds", HISTOGRAM, SECONDS, LATENCY, "", "From a message's arrival at this node until a majority has it on disk") \
    ROW(CHAT_DELIVERED, "clusterd_chat_delivered_total", COUNTER, NONE, NO_BUCKETS, "", "Entries of the ordered log that this node delivered") \
    ROW(CHAT_SEQUENCE, "clusterd_chat_sequence", GAUGE, NONE, NO_BUCKETS, "", "Number of the last entry that this node delivered") \
    ROW(CHAT_SUBSCRIBERS, "clusterd_chat_subscribers", GAUGE, NONE, NO_BUCKETS, "", "Clients that follow the chat on this node") \
    /* rollouts */                                                                                 \
    ROW(TXNS, "clusterd_txns_total", COUNTER, NONE, NO_BUCKETS, "outcome", "Transactions that this node coordinated") \
    ROW(TXN, "clusterd_txn_seconds", HISTOGRAM, SECONDS, LATENCY, "outcome", "From their begin to their decision") \
    ROW(TXNS_IN_DOUBT, "clusterd_txns_in_doubt", GAUGE, NONE, NO_BUCKETS, "", "Transactions that this node voted for and knows no decision of") \
    ROW(ROLLOUTS, "clusterd_rollouts", GAUGE, NONE, NO_BUCKETS, "", "Rollouts under way; only on the leader") \
    ROW(ROLLOUTS_ENDED, "clusterd_rollouts_ended_total", COUNTER, NONE, NO_BUCKETS, "state", "Rollouts that ended under this leader: promoted, aborted, rolled_back") \
    ROW(DATA_REQUESTS, "clusterd_data_requests_total", COUNTER, NONE, NO_BUCKETS, "service,model,code", "Requests of the data plane by the status that was answered") \
    ROW(DATA_REQUEST, "clusterd_data_request_seconds", HISTOGRAM, SECONDS, LATENCY, "service,model", "Time from a request of the data plane to the end of its answer") \
    ROW(IN_ROTATION, "clusterd_in_rotation", GAUGE, NONE, NO_BUCKETS, "", "1 while this node serves models") \
    /* HTTP and traces */                                                                          \
    ROW(HTTP_REQUESTS, "clusterd_http_requests_total", COUNTER, NONE, NO_BUCKETS, "route,method,code", "Requests of the API by route (its pattern) and status") \
    ROW(HTTP_REQUEST, "clusterd_http_request_seconds", HISTOGRAM, SECONDS, LATENCY, "route", "From a request to its answer, streams left out") \
    ROW(HTTP_CONNECTIONS, "clusterd_http_connections", GAUGE, NONE, NO_BUCKETS, "", "Open connections of the API") \
    ROW(HTTP_REFUSED, "clusterd_http_refused_total", COUNTER, NONE, NO_BUCKETS, "", "Requests refused for their token, Host or Origin") \
    ROW(TRACE_SPANS, "clusterd_trace_spans_total", COUNTER, NONE, NO_BUCKETS, "result", "Spans of traces: sent, or dropped for a full queue or a collector that failed") \
    ROW(TRACE_EXPORTS, "clusterd_trace_exports_total", COUNTER, NONE, NO_BUCKETS, "result", "Batches of spans sent to the collector")
/* clang-format on */

#endif
