/* Nodes that dial each other through cables which are cut and stalled at random, and that restart.
 * At any time there is at most one link for each pair; when the trouble is over there is exactly
 * one, and messages pass over it in both directions. */
#include "tests/lib/link_fixture.h"

#include <stdio.h>

#include "base/error.h"
#include "tests/unit/generated.h"

enum { NODES = 4, STEPS = 40 };

struct chaos {
    struct link_fixture *f;
    struct fixture_node nodes[NODES];
    struct fixture_cable *cables[NODES][NODES]; /* from the dialing one */
    struct link_dial *dials[NODES][NODES];
    char addresses[NODES][64];
};

static void chaos_start_node(struct chaos *c, unsigned i)
{
    struct link_set_options options;
    struct error e;
    fixture_node_options(&c->nodes[i], c->f, i + 1, &options);
    options.secret = "a secret";
    options.ping_interval_ms = 5;
    options.silence_timeout_ms = 60;
    options.handshake_timeout_ms = 100;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 20;
    c->nodes[i].set = link_set_new(&options, &e);
    const char *address = c->addresses[i][0] != '\0' ? c->addresses[i] : "127.0.0.1:0";
    if (link_set_listen(c->nodes[i].set, address, &e) < 0)
        fail_msg("%s", e.text);
    (void)snprintf(c->addresses[i], sizeof c->addresses[i], "%s",
                   link_set_address(c->nodes[i].set));
}

static void chaos_dial(struct chaos *c, unsigned i, unsigned j)
{
    struct error e;
    if (c->cables[i][j] == NULL)
        c->cables[i][j] = fixture_cable_new(c->f, c->addresses[j]);
    if (c->dials[i][j] == NULL)
        c->dials[i][j] =
            link_dial(c->nodes[i].set, fixture_cable_address(c->cables[i][j]), j + 1, &e);
}

static void chaos_undial(struct chaos *c, unsigned i, unsigned j)
{
    if (c->dials[i][j] != NULL)
        link_undial(c->dials[i][j]);
    c->dials[i][j] = NULL;
}

static void chaos_restart(struct chaos *c, unsigned i)
{
    fixture_node_stop(&c->nodes[i]);
    for (unsigned j = 0; j < NODES; j++)
        c->dials[i][j] = NULL;
    chaos_start_node(c, i);
    for (unsigned j = 0; j < NODES; j++)
        if (i != j)
            chaos_dial(c, i, j);
}

static void chaos_send(struct chaos *c, unsigned i, unsigned j, size_t bytes)
{
    static uint8_t data[1000];
    struct link *link = link_to(c->nodes[i].set, j + 1);
    Wire__FileChunk chunk = WIRE__FILE_CHUNK__INIT;
    chunk.data = (ProtobufCBinaryData){.len = bytes, .data = data};
    if (link == NULL)
        return;
    int err = link_send(link, WIRE_FILE_CHUNK, &chunk.base);
    assert_true(err == 0 || err == ERR_BUSY);
}

static void chaos_step(struct chaos *c, struct generated *g)
{
    unsigned i = (unsigned)prng_below(&g->prng, NODES);
    unsigned j = (i + 1 + (unsigned)prng_below(&g->prng, NODES - 1)) % NODES;
    switch (prng_below(&g->prng, 9)) {
    case 0:
        fixture_cable_cut(c->cables[i][j]);
        break;
    case 1:
        fixture_cable_stall(c->cables[i][j], true);
        break;
    case 2:
    case 3:
        fixture_cable_stall(c->cables[i][j], false);
        break;
    case 4:
        chaos_restart(c, i);
        break;
    case 5:
        if (link_to(c->nodes[i].set, j + 1) != NULL)
            link_close(link_to(c->nodes[i].set, j + 1), ERR_CLOSED, "at random");
        break;
    case 6:
        chaos_undial(c, i, j);
        break;
    case 7:
        chaos_dial(c, i, j);
        break;
    default:
        for (unsigned n = (unsigned)prng_below(&g->prng, 200); n > 0; n--)
            chaos_send(c, i, j, 1000);
        break;
    }
    for (unsigned turns = (unsigned)prng_below(&g->prng, 8); turns > 0; turns--)
        link_fixture_turn(c->f);
}

static bool chaos_is_meshed(const struct chaos *c)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct link_set_stats stats;
        link_set_get_stats(c->nodes[i].set, &stats);
        for (unsigned j = 0; j < NODES; j++) {
            const struct link *here = link_to(c->nodes[i].set, j + 1);
            const struct link *there = link_to(c->nodes[j].set, i + 1);
            if (i != j && (here == NULL || there == NULL ||
                           link_is_outgoing(here) == link_is_outgoing(there)))
                return false;
        }
        if (stats.up != NODES - 1)
            return false;
    }
    return true;
}

/* Whether every node got a message of every other within one stretch without any loss. */
static bool chaos_all_heard(struct chaos *c)
{
    unsigned before[NODES];
    unsigned downs = 0;
    unsigned downs_after = 0;
    LINK_WAIT(c->f, chaos_is_meshed(c));
    for (unsigned i = 0; i < NODES; i++) {
        before[i] = c->nodes[i].messages;
        downs += c->nodes[i].downs;
        for (unsigned j = 0; j < NODES; j++)
            if (i != j)
                chaos_send(c, i, j, 1);
    }
    bool heard = false;
    while (!heard && chaos_is_meshed(c)) {
        link_fixture_turn(c->f);
        heard = true;
        for (unsigned i = 0; i < NODES; i++)
            heard = heard && c->nodes[i].messages >= before[i] + NODES - 1;
    }
    for (unsigned i = 0; i < NODES; i++)
        downs_after += c->nodes[i].downs;
    return heard && downs == downs_after;
}

static void chaos_calm(struct chaos *c)
{
    for (unsigned i = 0; i < NODES; i++)
        for (unsigned j = 0; j < NODES; j++)
            if (i != j) {
                fixture_cable_stall(c->cables[i][j], false);
                chaos_dial(c, i, j);
            }
    while (!chaos_all_heard(c))
        link_fixture_turn(c->f);
}

static void after_any_trouble_each_pair_has_exactly_one_link_that_works(void **state)
{
    struct generated g;
    generated_init(&g, 12);
    while (generated_next(&g)) {
        struct chaos c = {.f = *state};
        for (unsigned i = 0; i < NODES; i++)
            chaos_start_node(&c, i);
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned j = 0; j < NODES; j++)
                if (i != j)
                    chaos_dial(&c, i, j);
        for (unsigned step = 0; step < STEPS; step++)
            chaos_step(&c, &g);
        chaos_calm(&c);
        for (unsigned i = 0; i < NODES; i++)
            fixture_node_stop(&c.nodes[i]);
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned j = 0; j < NODES; j++)
                if (c.cables[i][j] != NULL)
                    fixture_cable_free(c.cables[i][j]);
        loop_timer_stop(&c.f->patience);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_any_trouble_each_pair_has_exactly_one_link_that_works,
                                        link_fixture_setup, link_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
