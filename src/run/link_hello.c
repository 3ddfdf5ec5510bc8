/* The handshake of a link.
 *
 *     A (connected)                 B (accepted)
 *     Hello {nonce a}         ->
 *                             <-    Hello {nonce b, mac(B, a, b)}     or Goodbye
 *     Proof {mac(A, a, b)}    ->                                      or Goodbye
 *
 * mac(X, a, b) is HMAC-SHA-256 (RFC 2104) over X's side, both nonces and X's data directory id,
 * with the cluster's secret as key: a challenge and response in both directions, so neither a
 * stranger nor a replay gets a link. */
#include <assert.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/uuid.h"
#include "run/link_internal.h"

enum { LINK_NAME_MAX = 255 };

static bool link_hello_has_secret(const struct link_set *set)
{
    return set->secret[0] != '\0';
}

/* The mac that the connected (or accepted) side of this link gives. */
static void link_hello_mac(const struct link *link, bool connected_side,
                           uint8_t mac[static LINK_MAC_BYTES])
{
    const struct link_set *set = link->set;
    bool ours = connected_side == link->outgoing;
    const uint8_t *theirs = link->peer->nonce.data;
    const char *uuid = ours ? set->node_uuid : link->peer->node_uuid;
    struct buf text;
    buf_init(&text, 1024);
    (void)buf_append_str(&text, connected_side ? "clusterd connect" : "clusterd accept");
    (void)buf_append(&text, link->outgoing ? link->nonce : theirs, LINK_NONCE_BYTES);
    (void)buf_append(&text, link->outgoing ? theirs : link->nonce, LINK_NONCE_BYTES);
    (void)buf_append_str(&text, uuid);
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, set->secret, strlen(set->secret), text.data, text.len,
                         mac) != 0)
        abort();
    buf_done(&text);
}

static bool link_hello_verify(const struct link *link, bool connected_side,
                              ProtobufCBinaryData given)
{
    uint8_t mac[LINK_MAC_BYTES];
    if (!link_hello_has_secret(link->set))
        return true;
    if (given.len != LINK_MAC_BYTES)
        return false;
    link_hello_mac(link, connected_side, mac);
    uint8_t difference = 0;
    for (unsigned i = 0; i < LINK_MAC_BYTES; i++)
        difference |= (uint8_t)(mac[i] ^ given.data[i]);
    return difference == 0;
}

static void link_hello_send(struct link *link)
{
    struct link_set *set = link->set;
    uint8_t mac[LINK_MAC_BYTES];
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.protocol = WIRE_PROTOCOL;
    hello.cluster_id = set->cluster_id;
    hello.node_id = set->node_id;
    hello.node_uuid = set->node_uuid;
    hello.name = set->name;
    hello.version = set->version;
    hello.peer_address = set->peer_address[0] != '\0' ? set->peer_address : set->address;
    hello.api_address = set->api_address;
    hello.boot = set->boot;
    hello.nonce.data = link->nonce;
    hello.nonce.len = sizeof link->nonce;
    if (!link->outgoing && link_hello_has_secret(set)) {
        link_hello_mac(link, false, mac);
        hello.mac.data = mac;
        hello.mac.len = sizeof mac;
    }
    link_io_send(link, WIRE_HELLO, &hello.base);
}

void link_hello_begin(struct link *link)
{
    random_bytes(link->nonce, sizeof link->nonce);
    if (link->outgoing)
        link_hello_send(link);
}

static int link_hello_check_form(const struct link *link, const Wire__Hello *hello, struct error *e)
{
    const struct link_set *set = link->set;
    struct uuid uuid;
    if (uuid_parse(hello->node_uuid, &uuid) < 0 || hello->nonce.len != LINK_NONCE_BYTES ||
        strlen(hello->name) > LINK_NAME_MAX || !str_is_utf8(hello->name, strlen(hello->name)))
        return error_set(e, ERR_PROTOCOL, "malformed Hello");
    if (strcmp(hello->node_uuid, set->node_uuid) == 0)
        return error_set(e, ERR_CONFLICT, "this is the node itself");
    return 0;
}

/* Names come from outside: the caller has checked that they are short. */
static int link_hello_check(struct link *link, const Wire__Hello *hello, struct error *e)
{
    const struct link_set *set = link->set;
    if (hello->protocol != WIRE_PROTOCOL)
        return error_set(e, ERR_VERSION,
                         "%.64s speaks protocol %u (clusterd %.32s), %s protocol %d (clusterd %s)",
                         hello->name, hello->protocol, hello->version, set->name, WIRE_PROTOCOL,
                         set->version);
    int err = link_hello_check_form(link, hello, e);
    if (err < 0)
        return err;
    if (hello->cluster_id[0] != '\0' && set->cluster_id[0] != '\0' &&
        strcmp(hello->cluster_id, set->cluster_id) != 0)
        return error_set(e, ERR_WRONG_CLUSTER, "%s belongs to cluster %.36s, %s to %s", hello->name,
                         hello->cluster_id, set->name, set->cluster_id);
    if (link->dial != NULL && link->dial->node_id != 0 && hello->node_id != link->dial->node_id)
        return error_set(e, ERR_CONFLICT, "node %llu answers at %s, not node %llu",
                         (unsigned long long)hello->node_id, link->dial->address,
                         (unsigned long long)link->dial->node_id);
    if (hello->node_id != 0 && hello->node_id == set->node_id)
        return error_set(e, ERR_CONFLICT, "%s and %s both are node %llu", hello->name, set->name,
                         (unsigned long long)set->node_id);
    if (set->check_name && !link_tls_has_name(link->tls, hello->name))
        return error_set(e, ERR_UNAUTHORIZED, "the certificate does not carry the name \"%s\"",
                         hello->name);
    return set->options.ops->on_hello == NULL
               ? 0
               : set->options.ops->on_hello(set->options.arg, link, hello, e);
}

static void link_hello_send_proof(struct link *link)
{
    uint8_t mac[LINK_MAC_BYTES];
    Wire__Proof proof = WIRE__PROOF__INIT;
    if (link_hello_has_secret(link->set)) {
        link_hello_mac(link, true, mac);
        proof.mac.data = mac;
        proof.mac.len = sizeof mac;
    }
    link_io_send(link, WIRE_PROOF, &proof.base);
}

static void link_hello_take_hello(struct link *link)
{
    struct error e;
    int err = link_hello_check(link, (const Wire__Hello *)link->message, &e);
    if (err < 0) {
        link_turn_away(link, err, e.text);
        return;
    }
    link->peer = (Wire__Hello *)link_take_message(link);
    link->node_id = link->peer->node_id;
    if (link_is_double(link)) {
        link_turn_away(link, ERR_CONFLICT, LINK_DOUBLE_TEXT);
    } else if (link_is_second(link)) {
        link_close(link, ERR_EXISTS, "another link between these nodes is up");
    } else if (!link->outgoing) {
        link_set_state(link, LINK_STATE_PROOF);
        link_hello_send(link);
    } else if (!link_hello_verify(link, false, link->peer->mac)) {
        link_turn_away(link, ERR_UNAUTHORIZED, "the join tokens of the two nodes differ");
    } else {
        link_hello_send_proof(link);
        link_up(link);
    }
}

void link_hello_take(struct link *link, enum wire_type type)
{
    if (type == WIRE_HELLO && link->state == LINK_STATE_HELLO)
        link_hello_take_hello(link);
    else if (type != WIRE_PROOF || link->state != LINK_STATE_PROOF)
        link_refuse(link, ERR_PROTOCOL, "%s before the handshake", wire_type_name(type));
    else if (link_hello_verify(link, true, ((const Wire__Proof *)link->message)->mac))
        link_up(link);
    else
        link_turn_away(link, ERR_UNAUTHORIZED, "the join tokens of the two nodes differ");
}
