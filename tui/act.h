/* What keys and commands do: the handlers of keys.c. `argument` is NULL when a key called, else
 * what stands behind the command's name, maybe nothing. */
#ifndef TUI_ACT_H
#define TUI_ACT_H

struct app;

void act_back(struct app *app, const char *argument);
void act_bottom(struct app *app, const char *argument);
void act_chat_channel(struct app *app, const char *argument);
void act_chat_send(struct app *app, const char *argument);
void act_columns(struct app *app, const char *argument);
void act_command(struct app *app, const char *argument);
void act_copy(struct app *app, const char *argument);
void act_copy_row(struct app *app, const char *argument);
void act_detail(struct app *app, const char *argument);
void act_down(struct app *app, const char *argument);
void act_earlier(struct app *app, const char *argument);
void act_enter(struct app *app, const char *argument);
void act_event_earlier(struct app *app, const char *argument);
void act_event_later(struct app *app, const char *argument);
void act_filter(struct app *app, const char *argument);
void act_focus(struct app *app, const char *argument);
void act_follow_row(struct app *app, const char *argument);
void act_freeze(struct app *app, const char *argument);
void act_help(struct app *app, const char *argument);
void act_invert(struct app *app, const char *argument);
void act_job_cancel(struct app *app, const char *argument);
void act_job_retry(struct app *app, const char *argument);
void act_later(struct app *app, const char *argument);
void act_log_errors(struct app *app, const char *argument);
void act_log_follow(struct app *app, const char *argument);
void act_log_from(struct app *app, const char *argument);
void act_log_kind(struct app *app, const char *argument);
void act_log_less(struct app *app, const char *argument);
void act_log_mark_before(struct app *app, const char *argument);
void act_log_more(struct app *app, const char *argument);
void act_log_next_mark(struct app *app, const char *argument);
void act_log_save(struct app *app, const char *argument);
void act_log_there(struct app *app, const char *argument);
void act_log_time(struct app *app, const char *argument);
void act_log_wrap(struct app *app, const char *argument);
void act_mark(struct app *app, const char *argument);
void act_mark_all(struct app *app, const char *argument);
void act_mark_range(struct app *app, const char *argument);
void act_minute_earlier(struct app *app, const char *argument);
void act_minute_later(struct app *app, const char *argument);
void act_mouse(struct app *app, const char *argument);
void act_node_drain(struct app *app, const char *argument);
void act_node_lead(struct app *app, const char *argument);
void act_node_logs(struct app *app, const char *argument);
void act_node_resume(struct app *app, const char *argument);
void act_now(struct app *app, const char *argument);
void act_page_down(struct app *app, const char *argument);
void act_page_up(struct app *app, const char *argument);
void act_query_cancel(struct app *app, const char *argument);
void act_quit(struct app *app, const char *argument);
void act_redraw(struct app *app, const char *argument);
void act_rollout_abort(struct app *app, const char *argument);
void act_rollout_freeze(struct app *app, const char *argument);
void act_rollout_pause(struct app *app, const char *argument);
void act_rollout_promote(struct app *app, const char *argument);
void act_rollout_resume(struct app *app, const char *argument);
void act_sort_before(struct app *app, const char *argument);
void act_sort_next(struct app *app, const char *argument);
void act_span(struct app *app, const char *argument);
void act_suspend(struct app *app, const char *argument);
void act_task_cancel(struct app *app, const char *argument);
void act_theme(struct app *app, const char *argument);
void act_time(struct app *app, const char *argument);
void act_top(struct app *app, const char *argument);
void act_transfer(struct app *app, const char *argument);
void act_unmark(struct app *app, const char *argument);
void act_up(struct app *app, const char *argument);
void act_view_1(struct app *app, const char *argument);
void act_view_2(struct app *app, const char *argument);
void act_view_3(struct app *app, const char *argument);
void act_view_4(struct app *app, const char *argument);
void act_view_5(struct app *app, const char *argument);
void act_view_6(struct app *app, const char *argument);
void act_view_7(struct app *app, const char *argument);
void act_view_8(struct app *app, const char *argument);

#endif
