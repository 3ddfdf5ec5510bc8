/* A link that brought nothing for an interval is pinged; one that stays silent is dead. Whatever is
 * heard counts, so a busy link is pinged only now and then, for its round trip time. The answering
 * side hears the ping, and so does not probe itself. */
#include "base/clock.h"
#include "run/link_internal.h"

enum { LINK_PROBE_RTT_INTERVALS = 4 };

int64_t link_probe_interval_ms(const struct link_set *set)
{
    unsigned least_ms = set->options.ping_interval_ms;
    return set->links_n > least_ms ? set->links_n : least_ms;
}

int64_t link_probe_silence_ms(const struct link_set *set)
{
    int64_t least_ms = 3 * link_probe_interval_ms(set);
    return least_ms > set->options.silence_timeout_ms ? least_ms : set->options.silence_timeout_ms;
}

static void link_probe_ping(struct link *link)
{
    Wire__Ping ping = WIRE__PING__INIT;
    ping.sequence = ++link->ping_sequence;
    link->pinged_ms = loop_now_ms(link->set->loop);
    link->ping_sent_us = clock_mono_us();
    ping.sent_us = (uint64_t)link->ping_sent_us;
    link_io_send(link, WIRE_PING, &ping.base);
}

void link_probe_start(struct link *link)
{
    link_probe_ping(link);
    loop_timer_start(&link->timer, link_probe_interval_ms(link->set));
}

void link_probe(struct link *link)
{
    int64_t now_ms = loop_now_ms(link->set->loop);
    int64_t interval_ms = link_probe_interval_ms(link->set);
    int64_t silence_ms = link_probe_silence_ms(link->set);
    int64_t silent_ms = now_ms - link->stats.heard_ms;
    if (silent_ms >= silence_ms) {
        link->set->stats.silent++;
        link_lost(link, ERR_TIMEOUT, "silent for %lld ms", (long long)silent_ms);
        return;
    }
    if (silent_ms >= interval_ms ||
        now_ms - link->pinged_ms >= LINK_PROBE_RTT_INTERVALS * interval_ms)
        link_probe_ping(link);
    int64_t next_ms = silence_ms - silent_ms;
    loop_timer_start(&link->timer, next_ms < interval_ms ? next_ms : interval_ms);
}

void link_probe_take_ping(struct link *link, const Wire__Ping *ping)
{
    Wire__Pong pong = WIRE__PONG__INIT;
    pong.sequence = ping->sequence;
    pong.sent_us = ping->sent_us;
    link_io_send(link, WIRE_PONG, &pong.base);
}

/* Smoothed as TCP does (RFC 6298): an eighth of each new measurement. */
void link_probe_take_pong(struct link *link, const Wire__Pong *pong)
{
    if (pong->sequence != link->ping_sequence || link->ping_sent_us == 0)
        return;
    int64_t rtt_us = clock_mono_us() - link->ping_sent_us;
    int64_t smoothed_us = link->stats.rtt_us;
    link->ping_sent_us = 0;
    smoothed_us = smoothed_us == 0 ? rtt_us : smoothed_us + (rtt_us - smoothed_us) / 8;
    if (smoothed_us < 1)
        smoothed_us = 1;
    link->stats.rtt_us = smoothed_us < UINT32_MAX ? (uint32_t)smoothed_us : UINT32_MAX;
}
