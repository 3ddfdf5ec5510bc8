/* TPC-H (https://www.tpc.org/tpch/): tables of the specification's shapes made by DuckDB's own SQL,
 * close enough to its distributions that every query finds something, and the 22 queries with the
 * specification's validation parameters. */
#ifndef TESTS_LIB_TPCH_H
#define TESTS_LIB_TPCH_H

enum { TPCH_TABLES = 8, TPCH_QUERIES = 22 };

extern const char *const tpch_tables[TPCH_TABLES];

/* malloc'ed CREATE TABLE ... AS for table i at a scale (1: six million lines). Tables refer only to
 * earlier ones. */
char *tpch_create(int table, double scale);

extern const char *const tpch_queries[TPCH_QUERIES];

#endif
