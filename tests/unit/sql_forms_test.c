/* The forms of DuckDB's dialect, one by one, over one to three workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/sql_oracle.h"

static const char *const forms[] = {
    "from t",
    "from t select k, count(*) group by all",
    "select k, sum(i) as x from t group by k qualify row_number() over (order by x, k) < 3",
    "select t.i, u.v from t asof join u on t.i >= u.i",
    "select t.i, x.y from t, lateral (select t.i + 1 as y) x",
    "with recursive r as (select min(i) as n from t union all select n + 1 from r where n < 5) "
    "select * from r",
    "select k, s, sum(i) from t group by grouping sets ((k), (s), ())",
    "select k, s, sum(i), grouping(k) from t group by cube (k, s)",
    "select k, s, sum(i) from t group by rollup (k, s)",
    "select i, sum(i) over (partition by k order by i rows between 2 preceding and 1 following) "
    "from t",
    "select i, sum(i) over w from t window w as (partition by k order by i range between 1 "
    "preceding and current row)",
    "select list_transform([i, k], lambda x: x + 1) as l from t",
    "select {'a': i, 'b': s} as st, [i, k] as l, map {s: i} as m from t",
    "select list(i order by i) from t",
    "from (values (1), (2)) v(x)",
    "select i, unnest([i, k]) from t",
    "select columns('i|k') from t",
    "select min(columns(*)) from t",
    "select k, sum(columns('i|v')) from t join u using (i) group by k",
    "select max(columns(c -> c <> 's')) over (partition by k) from t",
    "select columns(c -> c like 'i%') from t",
    "select * exclude (s) from t",
    "select * replace (i + 1 as i) from t",
    "select * rename (i as ii) from t",
    "select s[1:2], s[-1] from t",
    "select distinct on (k) k, i from t order by k, i",
    "select distinct on (s) s, i from t order by s, i desc",
    "select i, k from t union by name select v as z, i from u",
    "select i from t union all by name select v from u",
    "select i from t except select i from u",
    "select i from t intersect all select i from u",
    "select k, first(i order by i), last(i order by i), arg_max(i, i), quantile_cont(i, 0.5), "
    "string_agg(s, ',' order by i) from t group by k",
    "select i as a, a + 1 as b from t where a > 3",
    "select count(*) filter (where i > 5) from t",
    "select i from t order by all limit 5",
    "select try_cast(s as integer) from t",
    "select i, (select max(v) from u where u.i = t.i) from t",
    "select * from t semi join u using (i)",
    "select * from t anti join u using (i)",
    "select * from t natural join u",
    "select * from t full join u using (i)",
    "select * from t cross join u",
    "select * from t join u on t.i < u.i",
    "select i::varchar || s from t",
    "select case k when 1 then 'x' else 'y' end, count(*) from t group by 1",
    "select k, sum(i) from t group by 1 having sum(i) > 3 order by 2 desc",
    "table t",
    "select #1 from t",
    "select t from t",
    "select t.* from t",
    "select k, rank() over (order by k), lag(i) over (order by i) from t",
    "select max(i) over () from t",
    "select first_value(i ignore nulls) over (partition by k order by i) from t",
    "select i from t where s ilike 'A%' or s similar to 'b.*' or s glob 'c*'",
    "select i ** 2, i // 2, i % 3, i & 1, i << 1, ~i from t",
    "select [x for x in [i, k] if x > 1] as l from t",
    "select i, exists(select 1 from u where u.i = t.i) from t",
    "select list_sort(list(i)) as l, list_aggregate(list_sort(list(i)), 'sum') from t",
    "select bit_and(i), bit_or(i), bit_xor(i), bool_or(i > 3), product(k + 1) from t",
    "select typeof(i), typeof(s) from t",
    "select * from t as x(a, b, c) where a = 1",
    "with a as materialized (select i from t), b as not materialized (select i from a) select "
    "count(*) from b",
    "select sum(i) from t group by ()",
    "select s, i from t order by s collate nocase desc nulls last, i",
    "select min(i, 2), max(s, 2) from t",
    "select i.k from (select {'k': i} as i from t)",
    "select unnest(st) from (select {'a': i, 'b': k} as st from t)",
    "select * from t where (i, k) in ((1, 1), (2, 2))",
    "select format('{} {}', i, s), printf('%d', i) from t",
    "select i from t where i = any(select i from u)",
    "select i from t where i > all(select 3)",
    "select array_agg(i) from t where i < 0",
    "select k, list(s order by s desc, i) from t group by k",
    "select json_object('i', i), to_json(t) from t",
    "(select i from t order by i limit 2) union all (select i from u order by i limit 2)",
    "select * from t, u where t.i = u.i and t.s = 'a'",
    "select count(distinct i), count(distinct (i, k)) from t",
    "select s, count(*) from t group by all order by all",
    "select * from (select i, k from t) unpivot (v for n in (i, k))",
    "unpivot (select i, k from t) on i, k into name n value v",
    "pivot (select k, s, i from t) on s in ('a', 'b') using sum(i)",
    "select k, count(distinct row(i, s)), max((k, 1)) from t group by k",
};

static void each_form_answers_as_duckdb_does(void **state)
{
    (void)state;
    struct sql_oracle o;
    sql_oracle_init(&o);
    sql_oracle_exec(&o, "CREATE TABLE t AS SELECT i, i % 3 AS k, chr(97 + (i % 4)::INTEGER) AS s "
                        "FROM range(20) r(i)");
    sql_oracle_exec(&o, "CREATE TABLE u AS SELECT i * 2 AS i, i AS v FROM range(8) r(i)");
    sql_oracle_table(&o, "t", 4);
    sql_oracle_table(&o, "u", 2);
    for (size_t f = 0; f < MEM_COUNT(forms); f++) {
        for (size_t workers = 1; workers <= 3; workers++) {
            struct sql_plan_options options = {workers,    1, 0, 0, "2025-01-31 12:00:00+00",
                                               workers % 2};
            struct sql_oracle_result result;
            char *text = sql_oracle_check(&o, forms[f], &options, false, &result);
            if (text != NULL)
                fail_msg("%zu workers: %s: %s", workers, forms[f], text);
        }
    }
    sql_oracle_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_answers_as_duckdb_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
