/* Tells the service manager how the daemon fares: systemd's notification protocol, sd_notify(3),
 * spoken on the socket in $NOTIFY_SOCKET. Without one everything here does nothing. */
#ifndef RUN_SD_NOTIFY_H
#define RUN_SD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a service manager listens. */
bool sd_notify_is_enabled(void);

/* `status` is for people, NULL allowed. Never blocks; 0, or -errno when nobody took it. */
int sd_notify_ready(const char *status);
int sd_notify_stopping(const char *status);
int sd_notify_watchdog(void);

/* How often at most sd_notify_watchdog() may be left out, from $WATCHDOG_USEC, when $WATCHDOG_PID
 * means this process; 0: no watchdog. Call it in half that time. */
int64_t sd_notify_watchdog_ms(void);

#endif
