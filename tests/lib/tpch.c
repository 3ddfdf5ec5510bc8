#include "tests/lib/tpch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *const tpch_tables[TPCH_TABLES] = {"region",   "nation",   "supplier", "part",
                                              "partsupp", "customer", "orders",   "lineitem"};

/* A hash of the row and a salt: the same on every machine, unlike random(). */
#define R(i, salt)          "(hash(" i " * 64 + " salt ") // 8)::BIGINT"
#define PICK(list, i, salt) "(" list ")[" R(i, salt) " % len(" list ") + 1]"
#define WORDS                                                                                      \
    "['furiously','sly','carefully','blithe','quick','fluffy','slow','quiet','ruthless','thin',"   \
    "'close','dogged','daring','brave','stealthy','permanent','enticing','idle','busy','regular'," \
    "'final','ironic','even','bold','silent','special','requests','deposits','packages',"          \
    "'accounts','instructions','foxes','pinto beans','Customer','Complaints','theodolites']"
#define TEXT(i, a, b, c)                                                                           \
    PICK(WORDS, i, a) " || ' ' || " PICK(WORDS, i, b) " || ' ' || " PICK(WORDS, i, c)
#define COLORS                                                                                     \
    "['almond','antique','aquamarine','azure','beige','bisque','black','blanched','blue','blush'," \
    "'brown','burlywood','chartreuse','forest','green','honeydew','lemon','lime','magenta',"       \
    "'maroon','navy','olive','orange','orchid','peru','pink','plum','purple','red','rose']"
#define PHONE(i)                                                                                   \
    "(10 + " R(i, "7") " % 25) || '-' || (100 + " R(i, "8") " % 900) || '-' || (1000 + " R(        \
        i, "9") " % 9000)"
#define MONEY(cents) "((" cents ")::DOUBLE / 100)::DECIMAL(15,2)"
#define PRICE(k)     "(90000 + ((" k ") // 10) % 20001 + 100 * ((" k ") % 1000))"

static const char *const creates[TPCH_TABLES] = {
    "CREATE TABLE region AS SELECT i::INTEGER AS r_regionkey, "
    "['AFRICA','AMERICA','ASIA','EUROPE','MIDDLE EAST'][i + 1] AS r_name, " TEXT(
        "i", "1", "2", "3") " AS r_comment FROM range(5) t(i)",

    "CREATE TABLE nation AS SELECT i::INTEGER AS n_nationkey, "
    "['ALGERIA','ARGENTINA','BRAZIL','CANADA','EGYPT','ETHIOPIA','FRANCE','GERMANY','INDIA',"
    "'INDONESIA','IRAN','IRAQ','JAPAN','JORDAN','KENYA','MOROCCO','MOZAMBIQUE','PERU','CHINA',"
    "'ROMANIA','SAUDI ARABIA','VIETNAM','RUSSIA','UNITED KINGDOM','UNITED STATES'][i + 1] AS "
    "n_name, "
    "[0,1,1,1,4,0,3,3,2,2,4,4,2,4,0,0,0,1,2,3,4,2,3,3,1][i + 1]::INTEGER AS n_regionkey, " TEXT(
        "i", "1", "2", "3") " AS n_comment FROM range(25) t(i)",

    "CREATE TABLE supplier AS SELECT i::INTEGER AS s_suppkey, 'Supplier#' || lpad(i::VARCHAR, "
    "9, '0') "
    "AS s_name, " PICK(WORDS, "i", "1") " AS s_address, (" R(
        "i", "2") " % 25)::INTEGER AS "
                  "s_nationkey, " PHONE("i") " AS s_phone, " MONEY(
                      R("i", "3") "::BIGINT % "
                                  "1099998 - "
                                  "99999") " AS"
                                           " s_"
                                           "acc"
                                           "tba"
                                           "l, "
                                           "CAS"
                                           "E "
                                           "WHE"
                                           "N "
                                           "i "
                                           "% "
                                           "97 "
                                           "= "
                                           "3 "
                                           "THE"
                                           "N "
                                           "'th"
                                           "e "
                                           "Cus"
                                           "tom"
                                           "er "
                                           "has"
                                           " Co"
                                           "mpl"
                                           "ain"
                                           "ts'"
                                           " EL"
                                           "SE"
                                           " " TEXT("i", "4", "5",
                                                    "6") " END AS s_comment FROM range(1, ({S} "
                                                         "* 10000)::BIGINT + 1) t(i)",

    "CREATE TABLE part AS SELECT i::INTEGER AS p_partkey, " PICK(
        COLORS, "i",
        "1") " || ' ' || " PICK(COLORS, "i",
                                "2") " || ' ' || " PICK(COLORS, "i",
                                                        "3") " AS "
                                                             "p_name,"
                                                             " '"
                                                             "Manufac"
                                                             "turer#'"
                                                             " || "
                                                             "(1 "
                                                             "+ " R("i", "4") " % 5) AS p_mfgr, "
                                                                              "'Brand#' || (1 "
                                                                              "+ " R(
                                                                                  "i",
                                                                                  "4") " "
                                                                                       "%"
                                                                                       " "
                                                                                       "5"
                                                                                       ")"
                                                                                       " "
                                                                                       "|"
                                                                                       "|"
                                                                                       " "
                                                                                       "("
                                                                                       "1"
                                                                                       " "
                                                                                       "+"
                                                                                       " " R("i",
                                                                                             "5") " % 5) AS p_brand, " PICK("['STANDARD','SMALL','MEDIUM','LARGE','ECONOMY','PROMO']", "i", "6") " || ' ' || " PICK("['ANODIZED','BURNISHED','PLATED','POLISHED','BRUSHED']", "i", "7") " || ' ' || " PICK("['TIN','NICKEL','BRASS','STEEL','COPPER']", "i", "8") " AS p_type, (1 + " R("i", "9") " % 50)::INTEGER AS p_size, " PICK("['SM','LG','MED','JUMBO','WRAP']",
                                                                                                                                                                                                                                                                                                                                                                                                                                     "i",
                                                                                                                                                                                                                                                                                                                                                                                                                                     "10") " || ' ' || " PICK("['CASE','BOX','BAG','JAR','PKG','PACK','CAN','DRUM']",
                                                                                                                                                                                                                                                                                                                                                                                                                                                              "i",
                                                                                                                                                                                                                                                                                                                                                                                                                                                              "11") " AS p_container, " MONEY(PRICE("i")) " AS p_retailprice, " PICK(WORDS,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "i",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "12") " AS p_comment FROM range(1, ({S} * 200000)::BIGINT + 1) t(i)",

    "CREATE TABLE partsupp AS SELECT i::INTEGER AS ps_partkey, ((i + j * (({S} * "
    "10000)::BIGINT // 4 + (i - 1) "
    "// (({S} * 10000)::BIGINT))) % ({S} * 10000)::BIGINT + 1)::INTEGER AS ps_suppkey, (1 + " R(
        "(i * 4 + j)",
        "1") " % 9999)::INTEGER AS ps_availqty, " MONEY("100 + " R("(i * 4 + j)",
                                                                   "2") " % 99901") " AS "
                                                                                    "ps_"
                                                                                    "supplycost"
                                                                                    ", " TEXT(
                                                                                        "(i * "
                                                                                        "4 + "
                                                                                        "j)",
                                                                                        "3", "4",
                                                                                        "5") " "
                                                                                             "A"
                                                                                             "S"
                                                                                             " "
                                                                                             "p"
                                                                                             "s"
                                                                                             "_"
                                                                                             "c"
                                                                                             "o"
                                                                                             "m"
                                                                                             "m"
                                                                                             "e"
                                                                                             "n"
                                                                                             "t"
                                                                                             " "
                                                                                             "F"
                                                                                             "R"
                                                                                             "O"
                                                                                             "M"
                                                                                             " "
                                                                                             "r"
                                                                                             "a"
                                                                                             "n"
                                                                                             "g"
                                                                                             "e"
                                                                                             "("
                                                                                             "1"
                                                                                             ","
                                                                                             " "
                                                                                             "("
                                                                                             "{"
                                                                                             "S"
                                                                                             "}"
                                                                                             " "
                                                                                             "*"
                                                                                             " "
                                                                                             "2"
                                                                                             "0"
                                                                                             "0"
                                                                                             "0"
                                                                                             "0"
                                                                                             "0"
                                                                                             ")"
                                                                                             ":"
                                                                                             ":"
                                                                                             "B"
                                                                                             "I"
                                                                                             "G"
                                                                                             "I"
                                                                                             "N"
                                                                                             "T"
                                                                                             " "
                                                                                             "+"
                                                                                             " "
                                                                                             "1"
                                                                                             ")"
                                                                                             " "
                                                                                             "t"
                                                                                             "("
                                                                                             "i"
                                                                                             ")"
                                                                                             ","
                                                                                             " "
                                                                                             "r"
                                                                                             "a"
                                                                                             "n"
                                                                                             "g"
                                                                                             "e"
                                                                                             "("
                                                                                             "4"
                                                                                             ")"
                                                                                             " "
                                                                                             "u"
                                                                                             "("
                                                                                             "j"
                                                                                             ")"
                                                                                             " "
                                                                                             "O"
                                                                                             "R"
                                                                                             "D"
                                                                                             "E"
                                                                                             "R"
                                                                                             " "
                                                                                             "B"
                                                                                             "Y"
                                                                                             " "
                                                                                             "i"
                                                                                             ","
                                                                                             " "
                                                                                             "j",

    "CREATE TABLE customer AS SELECT i::INTEGER AS c_custkey, 'Customer#' || lpad(i::VARCHAR, "
    "9, '0') AS "
    "c_name, " PICK(WORDS, "i", "1") " AS c_address, (" R(
        "i",
        "7") " % 25)::INTEGER AS "
             "c_nationkey, " PHONE("i") " AS c_phone, " MONEY(
                 R("i",
                   "3") "::BIGINT % 1099998 - 99999") " AS c_acctbal, " PICK("['AUTOMOBILE','"
                                                                             "BUILDING','"
                                                                             "FURNITURE',"
                                                                             "'MACHINERY','"
                                                                             "HOUSEHOLD']",
                                                                             "i",
                                                                             "4") " AS "
                                                                                  "c_"
                                                                                  "mktsegment"
                                                                                  ","
                                                                                  " " TEXT("i", "4",
                                                                                           "5",
                                                                                           "6") " "
                                                                                                "A"
                                                                                                "S"
                                                                                                " "
                                                                                                "c"
                                                                                                "_"
                                                                                                "c"
                                                                                                "o"
                                                                                                "m"
                                                                                                "m"
                                                                                                "e"
                                                                                                "n"
                                                                                                "t"
                                                                                                " "
                                                                                                "F"
                                                                                                "R"
                                                                                                "O"
                                                                                                "M"
                                                                                                " "
                                                                                                "r"
                                                                                                "a"
                                                                                                "n"
                                                                                                "g"
                                                                                                "e"
                                                                                                "("
                                                                                                "1"
                                                                                                ","
                                                                                                " "
                                                                                                "("
                                                                                                "{"
                                                                                                "S"
                                                                                                "}"
                                                                                                " "
                                                                                                "*"
                                                                                                " "
                                                                                                "1"
                                                                                                "5"
                                                                                                "0"
                                                                                                "0"
                                                                                                "0"
                                                                                                "0"
                                                                                                ")"
                                                                                                ":"
                                                                                                ":"
                                                                                                "B"
                                                                                                "I"
                                                                                                "G"
                                                                                                "I"
                                                                                                "N"
                                                                                                "T"
                                                                                                " "
                                                                                                "+"
                                                                                                " "
                                                                                                "1"
                                                                                                ")"
                                                                                                " "
                                                                                                "t"
                                                                                                "("
                                                                                                "i"
                                                                                                ")",

    "CREATE TABLE orders AS SELECT ((i // 8) * 32 + i % 8)::BIGINT AS o_orderkey, (1 + 3 * (" R("i", "1") " % (({S} * 150000)::BIGINT // 3)) + " R(
        "i",
        "2") " % 2)::INTEGER AS o_custkey, "
             "CASE WHEN DATE '1992-01-01' + (" R(
                 "i",
                 "3") " % 2406)::INTEGER < DATE '1995-03-01' THEN 'F' WHEN "
                      "DATE '1992-01-01' + (" R(
                          "i",
                          "3") " % 2406)::INTEGER < DATE '1995-06-17' THEN 'P' ELSE 'O' END AS "
                               "o_orderstatus, " MONEY(
                                   "85000 + " R(
                                       "i", "4") " % 45000000") " AS o_totalprice, "
                                                                "(DATE '1992-01-01' + (" R("i", "3") " % 2406)::INTEGER) AS o_orderdate, " PICK(
                                                                    "['1-URGENT','2-HIGH','3-"
                                                                    "MEDIUM','4-NOT "
                                                                    "SPECIFIED','5-LOW']",
                                                                    "i",
                                                                    "5") " AS "
                                                                         "o_orderpriority, "
                                                                         "'Clerk#' || "
                                                                         "lpad((" R(
                                                                             "i",
                                                                             "6") " % "
                                                                                  "1000"
                                                                                  ")::"
                                                                                  "VARC"
                                                                                  "HAR,"
                                                                                  " 9, "
                                                                                  "'0')"
                                                                                  " AS "
                                                                                  "o_"
                                                                                  "cler"
                                                                                  "k, "
                                                                                  "0::"
                                                                                  "INTE"
                                                                                  "GER "
                                                                                  "AS "
                                                                                  "o_"
                                                                                  "ship"
                                                                                  "prio"
                                                                                  "rity"
                                                                                  ","
                                                                                  " " TEXT(
                                                                                      "i",
                                                                                      "7",
                                                                                      "8",
                                                                                      "9") " AS "
                                                                                           "o_"
                                                                                           "comment"
                                                                                           " "
                                                                                           "FROM "
                                                                                           "range("
                                                                                           "1,"
                                                                                           " ({S} "
                                                                                           "* "
                                                                                           "1500000"
                                                                                           ")"
                                                                                           "::"
                                                                                           "BIGINT "
                                                                                           "+ 1) "
                                                                                           "t(i)",

    "CREATE TABLE lineitem AS WITH l AS (SELECT o_orderkey, o_orderdate, j, o_orderkey * 8 + j "
    "AS i FROM orders, "
    "range(7) u(j) WHERE j <= " R("o_orderkey", "20") " % 7), k AS (SELECT *, 1 + " R(
        "i",
        "1") " % ({S} * "
             "200000)::BIGINT AS "
             "pk, 1 + " R("i", "3") " % 50 AS q, 1 + " R("i", "6") " % 121 AS d1, 30 + " R("i", "7") " % 61 AS d2, 1 + " R(
                 "i",
                 "8") " % 30 AS d3 FROM l) "
                      "SELECT o_orderkey AS "
                      "l_orderkey, pk::INTEGER "
                      "AS "
                      "l_partkey, ((pk + (" R(
                          "i",
                          "2") " % 4) * (({S} * "
                               "10000)::BIGINT "
                               "// 4 + (pk - 1) "
                               "// (({S} * "
                               "10000)::BIGINT))"
                               ") % ({S} * "
                               "10000)::BIGINT "
                               "+ 1)::INTEGER "
                               "AS l_suppkey, "
                               "(j + "
                               "1)::INTEGER AS "
                               "l_linenumber, "
                               "q::DECIMAL(15,2)"
                               " AS "
                               "l_quantity,"
                               " " MONEY(
                                   "q "
                                   "*"
                                   " " PRICE(
                                       "pk")) " AS "
                                              "l_extendedprice,"
                                              " " MONEY(R(
                                                  "i",
                                                  "4") " % "
                                                       "11") " AS "
                                                             "l_"
                                                             "discount"
                                                             ","
                                                             " " MONEY(R(
                                                                 "i",
                                                                 "5") " % 9") " AS l_tax, "
                                                                              "CASE WHEN "
                                                                              "o_orderdate + (d1 + "
                                                                              "d3)::INTEGER <= "
                                                                              "DATE '1995-06-17' "
                                                                              "THEN (CASE WHEN " R(
                                                                                  "i",
                                                                                  "9") " % 2 = 0 "
                                                                                       "THEN 'R' "
                                                                                       "ELSE 'A' "
                                                                                       "END) ELSE "
                                                                                       "'N' END AS "
                                                                                       "l_"
                                                                                       "returnflag,"
                                                                                       " CASE WHEN "
                                                                                       "o_"
                                                                                       "orderdate "
                                                                                       "+ "
                                                                                       "d1::"
                                                                                       "INTEGER > "
                                                                                       "DATE "
                                                                                       "'1995-06-"
                                                                                       "17' THEN "
                                                                                       "'O' ELSE "
                                                                                       "'F' END AS "
                                                                                       "l_"
                                                                                       "linestatus,"
                                                                                       " (o_"
                                                                                       "orderdate "
                                                                                       "+ "
                                                                                       "d1::"
                                                                                       "INTEGER) "
                                                                                       "AS "
                                                                                       "l_shipdate,"
                                                                                       " "
                                                                                       "(o_"
                                                                                       "orderdate "
                                                                                       "+ "
                                                                                       "d2::"
                                                                                       "INTEGER) "
                                                                                       "AS "
                                                                                       "l_"
                                                                                       "commitdate,"
                                                                                       " (o_"
                                                                                       "orderdate "
                                                                                       "+ (d1 + "
                                                                                       "d3)::"
                                                                                       "INTEGER) "
                                                                                       "AS "
                                                                                       "l_"
                                                                                       "receiptdate"
                                                                                       ", " PICK(
                                                                                           "['"
                                                                                           "DELIVER"
                                                                                           " IN "
                                                                                           "PERSON'"
                                                                                           ",'"
                                                                                           "COLLECT"
                                                                                           " COD','"
                                                                                           "NONE','"
                                                                                           "TAKE "
                                                                                           "BACK "
                                                                                           "RETURN'"
                                                                                           "]",
                                                                                           "i",
                                                                                           "10") " "
                                                                                                 "A"
                                                                                                 "S"
                                                                                                 " "
                                                                                                 "l"
                                                                                                 "_"
                                                                                                 "s"
                                                                                                 "h"
                                                                                                 "i"
                                                                                                 "p"
                                                                                                 "i"
                                                                                                 "n"
                                                                                                 "s"
                                                                                                 "t"
                                                                                                 "r"
                                                                                                 "u"
                                                                                                 "c"
                                                                                                 "t"
                                                                                                 ","
                                                                                                 " " PICK(
                                                                                                     "['REG AIR','AIR','RAIL','SHIP','TRUCK','MAIL','FOB']",
                                                                                                     "i",
                                                                                                     "11") " AS l_shipmode, " TEXT("i",
                                                                                                                                   "12",
                                                                                                                                   "13",
                                                                                                                                   "14") " AS l_comment FROM k ORDER BY l_orderkey, l_linenumber",
};

char *tpch_create(int table, double scale)
{
    char *text = mem_strdup(creates[table]);
    char number[32];
    snprintf(number, sizeof number, "%g", scale);
    for (char *at; (at = strstr(text, "{S}")) != NULL;) {
        char *more = mem_printf("%.*s%s%s", (int)(at - text), text, number, at + 3);
        free(text);
        text = more;
    }
    return text;
}

const char *const tpch_queries[TPCH_QUERIES] = {
    /* 1 */
    "select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as "
    "sum_base_price, "
    "sum(l_extendedprice * (1 - l_discount)) as sum_disc_price, sum(l_extendedprice * (1 - "
    "l_discount) * (1 + "
    "l_tax)) as sum_charge, avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price, "
    "avg(l_discount) as "
    "avg_disc, count(*) as count_order from lineitem where l_shipdate <= date '1998-12-01' - "
    "interval '90' day "
    "group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus",
    /* 2 */
    "select s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment from part, "
    "supplier, "
    "partsupp, nation, region where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = "
    "15 and "
    "p_type like '%BRASS' and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = "
    "'EUROPE' and "
    "ps_supplycost = (select min(ps_supplycost) from partsupp, supplier, nation, region where "
    "p_partkey = "
    "ps_partkey and s_suppkey = ps_suppkey and s_nationkey = n_nationkey and n_regionkey = "
    "r_regionkey and "
    "r_name = 'EUROPE') order by s_acctbal desc, n_name, s_name, p_partkey limit 100",
    /* 3 */
    "select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, "
    "o_shippriority from "
    "customer, orders, lineitem where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and "
    "l_orderkey = "
    "o_orderkey and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15' group by "
    "l_orderkey, "
    "o_orderdate, o_shippriority order by revenue desc, o_orderdate limit 10",
    /* 4 */
    "select o_orderpriority, count(*) as order_count from orders where o_orderdate >= date "
    "'1993-07-01' and "
    "o_orderdate < date '1993-07-01' + interval '3' month and exists (select * from lineitem where "
    "l_orderkey = "
    "o_orderkey and l_commitdate < l_receiptdate) group by o_orderpriority order by "
    "o_orderpriority",
    /* 5 */
    "select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, orders, "
    "lineitem, "
    "supplier, nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey and "
    "l_suppkey = s_suppkey "
    "and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and "
    "r_name = "
    "'ASIA' and o_orderdate >= date '1994-01-01' and o_orderdate < date '1994-01-01' + interval "
    "'1' year group "
    "by n_name order by revenue desc",
    /* 6 */
    "select sum(l_extendedprice * l_discount) as revenue from lineitem where l_shipdate >= date "
    "'1994-01-01' and "
    "l_shipdate < date '1994-01-01' + interval '1' year and l_discount between 0.06 - 0.01 and "
    "0.06 + 0.01 and "
    "l_quantity < 24",
    /* 7 */
    "select supp_nation, cust_nation, l_year, sum(volume) as revenue from (select n1.n_name as "
    "supp_nation, "
    "n2.n_name as cust_nation, extract(year from l_shipdate) as l_year, l_extendedprice * (1 - "
    "l_discount) as "
    "volume from supplier, lineitem, orders, customer, nation n1, nation n2 where s_suppkey = "
    "l_suppkey and "
    "o_orderkey = l_orderkey and c_custkey = o_custkey and s_nationkey = n1.n_nationkey and "
    "c_nationkey = "
    "n2.n_nationkey and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY') or (n1.n_name = "
    "'GERMANY' and "
    "n2.n_name = 'FRANCE')) and l_shipdate between date '1995-01-01' and date '1996-12-31') as "
    "shipping group by "
    "supp_nation, cust_nation, l_year order by supp_nation, cust_nation, l_year",
    /* 8 */
    "select o_year, sum(case when nation = 'BRAZIL' then volume else 0 end) / sum(volume) as "
    "mkt_share from "
    "(select extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) as "
    "volume, n2.n_name "
    "as nation from part, supplier, lineitem, orders, customer, nation n1, nation n2, region where "
    "p_partkey = "
    "l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey and o_custkey = c_custkey and "
    "c_nationkey "
    "= n1.n_nationkey and n1.n_regionkey = r_regionkey and r_name = 'AMERICA' and s_nationkey = "
    "n2.n_nationkey "
    "and o_orderdate between date '1995-01-01' and date '1996-12-31' and p_type = 'ECONOMY "
    "ANODIZED STEEL') as "
    "all_nations group by o_year order by o_year",
    /* 9 */
    "select nation, o_year, sum(amount) as sum_profit from (select n_name as nation, extract(year "
    "from "
    "o_orderdate) as o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as "
    "amount from "
    "part, supplier, lineitem, partsupp, orders, nation where s_suppkey = l_suppkey and ps_suppkey "
    "= l_suppkey "
    "and ps_partkey = l_partkey and p_partkey = l_partkey and o_orderkey = l_orderkey and "
    "s_nationkey = "
    "n_nationkey and p_name like '%green%') as profit group by nation, o_year order by nation, "
    "o_year desc",
    /* 10 */
    "select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) as revenue, c_acctbal, "
    "n_name, c_address, "
    "c_phone, c_comment from customer, orders, lineitem, nation where c_custkey = o_custkey and "
    "l_orderkey = "
    "o_orderkey and o_orderdate >= date '1993-10-01' and o_orderdate < date '1993-10-01' + "
    "interval '3' month "
    "and l_returnflag = 'R' and c_nationkey = n_nationkey group by c_custkey, c_name, c_acctbal, "
    "c_phone, "
    "n_name, c_address, c_comment order by revenue desc limit 20",
    /* 11 */
    "select ps_partkey, sum(ps_supplycost * ps_availqty) as value from partsupp, supplier, nation "
    "where "
    "ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY' group by "
    "ps_partkey having "
    "sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * 0.0001 from "
    "partsupp, "
    "supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = "
    "'GERMANY') order "
    "by value desc",
    /* 12 */
    "select l_shipmode, sum(case when o_orderpriority = '1-URGENT' or o_orderpriority = '2-HIGH' "
    "then 1 else 0 "
    "end) as high_line_count, sum(case when o_orderpriority <> '1-URGENT' and o_orderpriority <> "
    "'2-HIGH' then "
    "1 else 0 end) as low_line_count from orders, lineitem where o_orderkey = l_orderkey and "
    "l_shipmode in "
    "('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate and "
    "l_receiptdate >= date "
    "'1994-01-01' and l_receiptdate < date '1994-01-01' + interval '1' year group by l_shipmode "
    "order by "
    "l_shipmode",
    /* 13 */
    "select c_count, count(*) as custdist from (select c_custkey, count(o_orderkey) from customer "
    "left outer "
    "join orders on c_custkey = o_custkey and o_comment not like '%special%requests%' group by "
    "c_custkey) as "
    "c_orders (c_custkey, c_count) group by c_count order by custdist desc, c_count desc",
    /* 14 */
    "select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) "
    "else 0 end) / "
    "sum(l_extendedprice * (1 - l_discount)) as promo_revenue from lineitem, part where l_partkey "
    "= p_partkey "
    "and l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-09-01' + interval '1' month",
    /* 15 */
    "with revenue as (select l_suppkey as supplier_no, sum(l_extendedprice * (1 - l_discount)) as "
    "total_revenue "
    "from lineitem where l_shipdate >= date '1996-01-01' and l_shipdate < date '1996-01-01' + "
    "interval '3' "
    "month group by l_suppkey) select s_suppkey, s_name, s_address, s_phone, total_revenue from "
    "supplier, "
    "revenue where s_suppkey = supplier_no and total_revenue = (select max(total_revenue) from "
    "revenue) order "
    "by s_suppkey",
    /* 16 */
    "select p_brand, p_type, p_size, count(distinct ps_suppkey) as supplier_cnt from partsupp, "
    "part where "
    "p_partkey = ps_partkey and p_brand <> 'Brand#45' and p_type not like 'MEDIUM POLISHED%' and "
    "p_size in (49, "
    "14, 23, 45, 19, 3, 36, 9) and ps_suppkey not in (select s_suppkey from supplier where "
    "s_comment like "
    "'%Customer%Complaints%') group by p_brand, p_type, p_size order by supplier_cnt desc, "
    "p_brand, p_type, "
    "p_size",
    /* 17 */
    "select sum(l_extendedprice) / 7.0 as avg_yearly from lineitem, part where p_partkey = "
    "l_partkey and p_brand "
    "= 'Brand#23' and p_container = 'MED BOX' and l_quantity < (select 0.2 * avg(l_quantity) from "
    "lineitem "
    "where l_partkey = p_partkey)",
    /* 18 */
    "select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) from "
    "customer, orders, "
    "lineitem where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having "
    "sum(l_quantity) > "
    "250) and c_custkey = o_custkey and o_orderkey = l_orderkey group by c_name, c_custkey, "
    "o_orderkey, "
    "o_orderdate, o_totalprice order by o_totalprice desc, o_orderdate limit 100",
    /* 19 */
    "select sum(l_extendedprice * (1 - l_discount)) as revenue from lineitem, part where "
    "(p_partkey = l_partkey "
    "and p_brand = 'Brand#12' and p_container in ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG') and "
    "l_quantity >= 1 "
    "and l_quantity <= 11 and p_size between 1 and 5 and l_shipmode in ('AIR', 'REG AIR') and "
    "l_shipinstruct = "
    "'DELIVER IN PERSON') or (p_partkey = l_partkey and p_brand = 'Brand#23' and p_container in "
    "('MED BAG', "
    "'MED BOX', 'MED PKG', 'MED PACK') and l_quantity >= 10 and l_quantity <= 20 and p_size "
    "between 1 and 10 "
    "and l_shipmode in ('AIR', 'REG AIR') and l_shipinstruct = 'DELIVER IN PERSON') or (p_partkey "
    "= l_partkey "
    "and p_brand = 'Brand#34' and p_container in ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG') and "
    "l_quantity >= "
    "20 and l_quantity <= 30 and p_size between 1 and 15 and l_shipmode in ('AIR', 'REG AIR') and "
    "l_shipinstruct = 'DELIVER IN PERSON')",
    /* 20 */
    "select s_name, s_address from supplier, nation where s_suppkey in (select ps_suppkey from "
    "partsupp where "
    "ps_partkey in (select p_partkey from part where p_name like 'forest%') and ps_availqty > "
    "(select 0.5 * "
    "sum(l_quantity) from lineitem where l_partkey = ps_partkey and l_suppkey = ps_suppkey and "
    "l_shipdate >= "
    "date '1994-01-01' and l_shipdate < date '1994-01-01' + interval '1' year)) and s_nationkey = "
    "n_nationkey "
    "and n_name = 'CANADA' order by s_name",
    /* 21 */
    "select s_name, count(*) as numwait from supplier, lineitem l1, orders, nation where s_suppkey "
    "= "
    "l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' and l1.l_receiptdate > "
    "l1.l_commitdate "
    "and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> "
    "l1.l_suppkey) and not exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey "
    "and "
    "l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate) and s_nationkey = "
    "n_nationkey and "
    "n_name = 'SAUDI ARABIA' group by s_name order by numwait desc, s_name limit 100",
    /* 22 */
    "select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal from (select "
    "substring(c_phone from 1 "
    "for 2) as cntrycode, c_acctbal from customer where substring(c_phone from 1 for 2) in ('13', "
    "'31', '23', "
    "'29', '30', '18', '17') and c_acctbal > (select avg(c_acctbal) from customer where c_acctbal "
    "> 0.00 and "
    "substring(c_phone from 1 for 2) in ('13', '31', '23', '29', '30', '18', '17')) and not exists "
    "(select * "
    "from orders where o_custkey = c_custkey)) as custsale group by cntrycode order by cntrycode",
};
