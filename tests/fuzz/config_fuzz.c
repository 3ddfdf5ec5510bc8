/* Files of configuration. */
#include "tests/fuzz/fuzz.h"

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct config config;
    struct error e = {0};
    config_init(&config);
    if (config_parse(&config, len > 0 ? (const char *)data : "", len, "x.yaml", &e) < 0)
        fuzz_check(e.text[0] != '\0');
    else if (config_settle(&config, &e) == 0)
        (void)config_check(&config, &e);
    config_done(&config);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    fuzz_add_text(add,
                  "node:\n  name: n1\n  roles: [coordinator, worker]\n  labels: [gpu, zone=a]\n"
                  "peer:\n  listen: \"127.0.0.1:7400\"\nchat:\n  heartbeat_interval_ms: 800\n");
    fuzz_add_text(add,
                  "cluster: {bootstrap: true, join: ['a:1', \"b:2\"]}\n# c\n---\nx: &a [*a]\n");
    fuzz_add_text(add,
                  "api:\n    listen: |\n      x\n    token_file: >-\n      y\n? k\n: !!str v\n");
}
