#include "tests/lib/order_bed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void order_bed_init(struct order_bed *bed, unsigned n)
{
    *bed = (struct order_bed){.n = n, .now_ms = 1000, .check = true};
    assert(n <= ORDER_BED_NODES_MAX);
    order_config_default(&bed->config);
    bed->config.heartbeat_ms = 100;
    bed->config.leader_timeout_ms = 300;
    bed->config.hash_seed = 1;
}

static void order_bed_forget(struct order_bed_node *node, uint64_t seq)
{
    while (node->forms_n > seq)
        free(node->forms[--node->forms_n]);
}

void order_bed_done(struct order_bed *bed)
{
    for (unsigned id = 1; id <= bed->n; id++) {
        struct order_bed_node *node = &bed->nodes[id];
        order_free(node->order);
        order_update_done(&node->update);
        order_bed_forget(node, 0);
        free(node->forms);
        free(node->lens);
        free(node->snapshot);
    }
    for (size_t i = 0; i < bed->letters_n; i++)
        wire__chat_message__free_unpacked(bed->letters[i].message, NULL);
    free(bed->letters);
}

struct uuid order_bed_client(unsigned client)
{
    struct uuid id = {{0}};
    id.bytes[0] = 0xc1;
    memcpy(id.bytes + 1, &client, sizeof client);
    return id;
}

struct order_view order_bed_view(const struct order_bed *bed, unsigned id)
{
    struct order_view view;
    order_view(bed->nodes[id].order, &view);
    return view;
}

/* ---- what a role does ------------------------------------------------------------------------ */

static void order_bed_keep(struct order_bed_node *node, const struct order_entry *entry)
{
    struct buf form;
    buf_init(&form, 2 << 20);
    int err = order_entry_encode(entry, &form);
    assert(err == 0 && entry->seq == node->forms_n + 1);
    (void)err;
    MEM_GROW(node->forms, node->forms_cap, node->forms_n + 1);
    MEM_GROW(node->lens, node->lens_cap, node->forms_n + 1);
    size_t len;
    node->forms[node->forms_n] = (uint8_t *)buf_steal(&form, &len);
    node->lens[node->forms_n++] = len;
}

static void order_bed_write(struct order_bed_node *node, const struct order_record *record)
{
    node->record = record->record;
    if (record->type == ORDER_RECORD_META)
        node->meta = record->meta;
    if (!node->keeps)
        return;
    if (record->type == ORDER_RECORD_TRUNCATE)
        order_bed_forget(node, record->seq);
    for (size_t i = 0; i < record->entries_n && record->type == ORDER_RECORD_APPEND; i++)
        order_bed_keep(node, record->entries[i]);
    struct order_entry entry;
    for (size_t at = 0; at < record->lump_len;) {
        at += (size_t)order_entry_decode((const uint8_t *)record->lump + at, record->lump_len - at,
                                         &entry);
        order_bed_keep(node, &entry);
    }
    if (record->type == ORDER_RECORD_INSTALL) {
        free(node->snapshot);
        node->snapshot = mem_dup(record->snapshot, record->snapshot_len);
        node->snapshot_len = record->snapshot_len;
    }
}

static void order_bed_read(struct order_bed *bed, unsigned id, const struct order_read *read)
{
    struct order_bed_node *node = &bed->nodes[id];
    struct order_entry *entries = mem_calloc(ORDER_BED_LUMP_MAX, sizeof *entries);
    struct order_event event = {.type = ORDER_EVENT_READ, .read = read->read, .entries = entries};
    node->reads++;
    assert(read->type == ORDER_READ_ENTRIES && node->keeps);
    size_t bytes = 0;
    for (uint64_t seq = read->first; seq <= read->last && seq <= node->forms_n; seq++) {
        if (event.entries_n == ORDER_BED_LUMP_MAX || bytes > read->bytes_max)
            break;
        int len = order_entry_decode(node->forms[seq - 1], node->lens[seq - 1],
                                     &entries[event.entries_n++]);
        assert(len > 0);
        bytes += (size_t)len;
    }
    struct buf lump;
    buf_init(&lump, SIZE_MAX / 4);
    for (size_t i = 0; read->lump && i < event.entries_n; i++) {
        size_t at = (size_t)entries[i].seq - 1;
        (void)buf_append(&lump, node->forms[at], node->lens[at]);
    }
    if (read->lump) {
        event.lump_n = event.entries_n;
        event.entries_n = 0;
        event.bytes = lump.data;
        event.bytes_len = lump.len;
    }
    order_bed_step(bed, id, event);
    buf_done(&lump);
    free(entries);
}

static void order_bed_obey(struct order_bed *bed, unsigned id)
{
    struct order_bed_node *node = &bed->nodes[id];
    struct order_update *update = &node->update;
    for (size_t i = 0; i < update->records_n; i++)
        order_bed_write(node, &update->records[i]);
    for (uint64_t seq = update->deliver_first; seq != 0 && seq <= update->deliver_last; seq++) {
        assert(seq == node->delivered + 1);
        node->delivered = seq;
        const struct order_entry *entry = order_entry(node->order, seq);
        struct order_entry kept;
        if (entry == NULL &&
            order_entry_decode(node->forms[seq - 1], node->lens[seq - 1], &kept) > 0)
            entry = &kept;
        node->messages += entry->type == ORDER_ENTRY_MESSAGE;
    }
    for (size_t i = 0; i < update->replies_n; i++) {
        node->reply = update->replies[i];
        node->answers++;
        node->acks += node->reply.code == 0;
    }
    for (size_t i = 0; i < update->sends_n; i++) {
        struct order_send *send = &update->sends[i];
        if (bed->on_send != NULL)
            bed->on_send(bed, id, send);
        MEM_GROW(bed->letters, bed->letters_cap, bed->letters_n + 1);
        bed->letters[bed->letters_n++] =
            (struct order_bed_letter){id, (unsigned)send->peer, send->message};
        send->message = NULL;
    }
    struct order_read *reads = NULL;
    size_t reads_n = update->reads_n;
    if (reads_n > 0)
        reads = mem_dup(update->reads, reads_n * sizeof *reads);
    order_update_clear(update);
    for (size_t i = 0; i < reads_n; i++)
        order_bed_read(bed, id, &reads[i]);
    free(reads);
}

int order_bed_step(struct order_bed *bed, unsigned id, struct order_event event)
{
    struct order_bed_node *node = &bed->nodes[id];
    event.now_ms = bed->now_ms;
    event.wall_ms = bed->now_ms;
    int err = order_step(node->order, &event, &node->update);
    bed->steps++;
    if (bed->check)
        order_check(node->order);
    order_bed_obey(bed, id);
    return err;
}

/* ---- messages and time ----------------------------------------------------------------------- */

size_t order_bed_read_lump(const Wire__ChatAppend *append, struct order_entry *entries,
                           size_t *ends)
{
    size_t n = 0;
    for (size_t at = 0; at < append->lump.len; n++) {
        assert(n < ORDER_BED_LUMP_MAX);
        int len = order_entry_decode(append->lump.data + at, append->lump.len - at, &entries[n]);
        assert(len > 0);
        at += (size_t)len;
        ends[n] = at;
    }
    return n;
}

static void order_bed_carry(struct order_bed *bed, const struct order_bed_letter *letter)
{
    struct order_event event = {
        .type = ORDER_EVENT_MESSAGE, .peer = letter->from, .message = letter->message};
    struct order_entry entries[ORDER_BED_LUMP_MAX];
    size_t ends[ORDER_BED_LUMP_MAX];
    if (letter->message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND) {
        event.entries = entries;
        event.lump_ends = ends;
        event.entries_n = order_bed_read_lump(letter->message->append, entries, ends);
    }
    if (bed->nodes[letter->to].order != NULL && bed->nodes[letter->from].order != NULL &&
        !bed->cut[letter->from][letter->to])
        (void)order_bed_step(bed, letter->to, event);
    wire__chat_message__free_unpacked(letter->message, NULL);
}

static bool order_bed_sync(struct order_bed *bed)
{
    bool any = false;
    for (unsigned id = 1; id <= bed->n; id++) {
        struct order_bed_node *node = &bed->nodes[id];
        if (node->order == NULL || node->disk_hangs || node->said == node->record)
            continue;
        node->said = node->record;
        order_bed_step(bed, id,
                       (struct order_event){.type = ORDER_EVENT_PERSISTED, .record = node->said});
        any = true;
    }
    return any;
}

void order_bed_settle(struct order_bed *bed)
{
    do {
        struct order_bed_letter *letters = bed->letters;
        size_t n = bed->letters_n;
        bed->letters = NULL;
        bed->letters_n = bed->letters_cap = 0;
        for (size_t i = 0; i < n; i++)
            order_bed_carry(bed, &letters[i]);
        free(letters);
    } while (order_bed_sync(bed) || bed->letters_n > 0);
}

void order_bed_wait(struct order_bed *bed, int64_t ms)
{
    for (int64_t end_ms = bed->now_ms + ms;;) {
        int64_t next_ms = end_ms;
        for (unsigned id = 1; id <= bed->n; id++) {
            const struct order_bed_node *node = &bed->nodes[id];
            if (node->order != NULL && node->update.next_deadline_ms < next_ms)
                next_ms = node->update.next_deadline_ms;
        }
        bed->now_ms = next_ms > bed->now_ms ? next_ms : bed->now_ms;
        for (unsigned id = 1; id <= bed->n; id++) {
            struct order_bed_node *node = &bed->nodes[id];
            if (node->order != NULL && node->update.next_deadline_ms <= bed->now_ms)
                order_bed_step(bed, id, (struct order_event){.type = ORDER_EVENT_TICK});
        }
        order_bed_settle(bed);
        if (next_ms >= end_ms)
            return;
    }
}

unsigned order_bed_leader(struct order_bed *bed, int64_t ms)
{
    for (int64_t end_ms = bed->now_ms + ms; bed->now_ms <= end_ms;) {
        for (unsigned id = bed->n; id >= 1; id--) {
            if (bed->nodes[id].order != NULL &&
                order_state(bed->nodes[id].order) == ORDER_STATE_LEADING)
                return id;
        }
        order_bed_wait(bed, 5);
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void order_bed_load(struct order_bed *bed, unsigned id)
{
    struct order_bed_node *node = &bed->nodes[id];
    struct error e;
    int err = 0;
    if (node->keeps && node->snapshot != NULL) {
        err = order_load_meta(node->order, &node->meta, &e);
        assert(err == 0);
        err = order_load_snapshot(node->order, node->snapshot, node->snapshot_len, &e);
        assert(err == 0);
        for (size_t i = 0; i < node->forms_n; i++) {
            struct order_entry entry;
            err = order_entry_decode(node->forms[i], node->lens[i], &entry);
            assert(err > 0);
            err = order_load_entries(node->order, &entry, 1, &e);
            assert(err == 0);
        }
    }
    node->delivered = node->messages = 0;
    order_bed_step(bed, id, (struct order_event){.type = ORDER_EVENT_START});
    (void)err;
}

void order_bed_start(struct order_bed *bed, unsigned id)
{
    struct order_bed_node *node = &bed->nodes[id];
    struct order_config config = bed->config;
    char address[32];
    snprintf(address, sizeof address, "n%u:7400", id);
    config.id = id;
    config.uuid.bytes[0] = (uint8_t)id;
    config.address = address;
    node->order = order_new(&config);
    node->record = node->said = 0;
    node->disk_hangs = false;
    node->keeps = true;
    order_bed_load(bed, id);
    for (unsigned peer = 1; peer <= bed->n; peer++) {
        if (peer == id || bed->nodes[peer].order == NULL)
            continue;
        order_bed_step(bed, id, (struct order_event){.type = ORDER_EVENT_LINK_UP, .peer = peer});
        order_bed_step(bed, peer, (struct order_event){.type = ORDER_EVENT_LINK_UP, .peer = id});
    }
}

void order_bed_lose(struct order_bed *bed, unsigned id, uint64_t seq)
{
    struct order_bed_node *node = &bed->nodes[id];
    assert(node->order == NULL);
    order_bed_forget(node, seq);
    if (seq > 0)
        return;
    free(node->snapshot);
    node->snapshot = NULL;
    node->meta = (struct order_meta){0};
}

void order_bed_form(struct order_bed *bed)
{
    struct order_member members[ORDER_BED_NODES_MAX] = {{0}};
    for (unsigned id = 1; id <= bed->n; id++) {
        members[id - 1].id = id;
        snprintf(members[id - 1].address, sizeof members[0].address, "n%u:7400", id);
    }
    for (unsigned id = 1; id <= bed->n; id++) {
        order_bed_start(bed, id);
        int err = order_bed_step(bed, id,
                                 (struct order_event){.type = ORDER_EVENT_FORM,
                                                      .members = members,
                                                      .members_n = bed->n,
                                                      .group = ORDER_BED_GROUP});
        assert(err == 0);
        (void)err;
    }
    order_bed_settle(bed);
    (void)order_bed_leader(bed, 5000);
}

void order_bed_kill(struct order_bed *bed, unsigned id)
{
    struct order_bed_node *node = &bed->nodes[id];
    order_free(node->order);
    node->order = NULL;
    order_update_clear(&node->update);
    for (unsigned peer = 1; peer <= bed->n; peer++) {
        if (bed->nodes[peer].order != NULL)
            order_bed_step(bed, peer,
                           (struct order_event){.type = ORDER_EVENT_LINK_DOWN, .peer = id});
    }
}

void order_bed_submit(struct order_bed *bed, unsigned id, unsigned client, uint64_t number)
{
    const struct order_submit submit = {
        .client = order_bed_client(client),
        .number = number,
        .channel = "all",
        .channel_len = 3,
        .sender = "ann",
        .sender_len = 3,
        .payload = "hello",
        .payload_len = 5,
        .token = number,
    };
    order_bed_step(
        bed, id,
        (struct order_event){.type = ORDER_EVENT_SUBMIT, .submits = &submit, .submits_n = 1});
}
