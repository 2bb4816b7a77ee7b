/* A workload for SQLite, using nothing but its API: an in-memory database with orders of customers, filled in one
   transaction, indexed, joined, aggregated, changed and checked. Every result that can be computed is computed here too;
   a difference ends the program with status 1. Prints the results and never a time, so two runs print the same.

       workload [ROWS]        default 100000 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sqlite3-binding.h"

enum { customers = 997, regions = 7, default_rows = 100000 };

static sqlite3 *db;
static int failures;

static void check(int ok, const char *what, ...) {
    if (ok)
        return;
    va_list ap;
    va_start(ap, what);
    fprintf(stderr, "workload: wrong: ");
    vfprintf(stderr, what, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    failures++;
}

static void die(const char *doing) {
    fprintf(stderr, "workload: %s: %s\n", doing, db ? sqlite3_errmsg(db) : "no database");
    exit(1);
}

static void run(const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        die(sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        die(sql);
    return s;
}

static sqlite3_int64 number(const char *sql) {
    sqlite3_stmt *s = prepare(sql);
    if (sqlite3_step(s) != SQLITE_ROW)
        die(sql);
    sqlite3_int64 v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return v;
}

/* Prints all rows of a query, each value as SQLite gives it as text; returns how many. */
static int show(const char *title, const char *sql) {
    sqlite3_stmt *s = prepare(sql);
    int rows = 0, status;
    printf("-- %s\n", title);
    while ((status = sqlite3_step(s)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const unsigned char *text = sqlite3_column_text(s, i);
            printf("%s%s", i ? "|" : "", text ? (const char *)text : "NULL");
        }
        printf("\n");
        rows++;
    }
    if (status != SQLITE_DONE)
        die(sql);
    sqlite3_finalize(s);
    return rows;
}

/* The data, computed the same way for inserting and for checking. */
static uint32_t scramble(uint32_t n) {
    n ^= n >> 16;
    n *= 0x7feb352dU;
    n ^= n >> 15;
    n *= 0x846ca68bU;
    return n ^ n >> 16;
}
static int customer_of(int i) { return (int)(scramble((uint32_t)i) % customers) + 1; }
static int cents_of(int i) { return (int)(scramble((uint32_t)i ^ 0x5bd1e995U) % 100000); }
static int region_of(int customer) { return customer % regions; }

static void create_and_fill(int rows) {
    run("PRAGMA journal_mode=MEMORY");
    run("CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, region INTEGER NOT NULL);"
        "CREATE TABLE item(id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer(id), cents INTEGER NOT NULL CHECK(cents >= 0),"
        " note TEXT, ratio REAL, payload BLOB);"
        "CREATE TABLE audit(what TEXT, n INTEGER);"
        "CREATE TRIGGER item_gone AFTER DELETE ON item BEGIN INSERT INTO audit VALUES('delete', old.id); END;"
        "CREATE VIEW spending AS SELECT customer, sum(cents) AS total, count(*) AS n FROM item GROUP BY customer;");
    run("BEGIN");
    sqlite3_stmt *s = prepare("INSERT INTO customer VALUES(?1, printf('customer %04d', ?1), ?2)");
    for (int c = 1; c <= customers; c++) {
        sqlite3_bind_int(s, 1, c);
        sqlite3_bind_int(s, 2, region_of(c));
        if (sqlite3_step(s) != SQLITE_DONE)
            die("insert customer");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    s = prepare("INSERT INTO item(id, customer, cents, note, ratio, payload) VALUES(?, ?, ?, ?, ?, ?)");
    for (int i = 1; i <= rows; i++) {
        char note[48];
        unsigned char blob[8];
        uint32_t h = scramble((uint32_t)i * 3);
        snprintf(note, sizeof note, "note %08x of item %d", h, i);
        for (int k = 0; k < 8; k++)
            blob[k] = (unsigned char)(h >> (k % 4 * 8)) ^ (unsigned char)k;
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_int(s, 2, customer_of(i));
        sqlite3_bind_int(s, 3, cents_of(i));
        if (i % 10 == 0)
            sqlite3_bind_null(s, 4);
        else
            sqlite3_bind_text(s, 4, note, -1, SQLITE_TRANSIENT);
        sqlite3_bind_double(s, 5, (double)h / 4294967296.0);
        sqlite3_bind_blob(s, 6, blob, (int)(i % 9), SQLITE_TRANSIENT);
        if (sqlite3_step(s) != SQLITE_DONE)
            die("insert item");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    run("COMMIT");
    sqlite3_int64 want = 0, got = number("SELECT sum(cents) FROM item");
    for (int i = 1; i <= rows; i++)
        want += cents_of(i);
    check(number("SELECT count(*) FROM item") == rows, "number of items");
    check(got == want, "sum of cents is %lld, not %lld", (long long)got, (long long)want);
    printf("-- filled\n%d items, %d customers, %lld cents\n", rows, customers, (long long)got);
}

static void index_and_join(int rows) {
    const char *plan = "EXPLAIN QUERY PLAN SELECT * FROM item WHERE customer = 5 ORDER BY cents";
    sqlite3_stmt *s = prepare(plan);
    check(sqlite3_step(s) == SQLITE_ROW && strstr((const char *)sqlite3_column_text(s, 3), "SCAN") != NULL, "without an index the plan scans");
    sqlite3_finalize(s);
    run("CREATE INDEX item_customer ON item(customer, cents); CREATE INDEX item_note ON item(note) WHERE note IS NOT NULL; ANALYZE");
    s = prepare(plan);
    check(sqlite3_step(s) == SQLITE_ROW && strstr((const char *)sqlite3_column_text(s, 3), "item_customer") != NULL, "with the index the plan uses it");
    sqlite3_finalize(s);

    sqlite3_int64 totals[regions] = {0}, counts[regions] = {0};
    for (int i = 1; i <= rows; i++) {
        totals[region_of(customer_of(i))] += cents_of(i);
        counts[region_of(customer_of(i))]++;
    }
    s = prepare("SELECT c.region, sum(i.cents), count(*), avg(i.cents) FROM item i JOIN customer c ON c.id = i.customer GROUP BY c.region ORDER BY c.region");
    for (int r = 0; r < regions; r++) {
        if (counts[r] == 0)
            continue;
        check(sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == r && sqlite3_column_int64(s, 1) == totals[r] &&
                  sqlite3_column_int64(s, 2) == counts[r] && sqlite3_column_double(s, 3) == (double)totals[r] / (double)counts[r],
              "region %d", r);
    }
    check(sqlite3_step(s) == SQLITE_DONE, "number of regions");
    sqlite3_finalize(s);
    show("regions", "SELECT c.region, sum(i.cents), count(*), min(i.cents), max(i.cents), round(avg(i.cents), 3) FROM item i JOIN customer c ON c.id = i.customer"
                    " GROUP BY c.region ORDER BY c.region");
    show("customers above average", "SELECT c.name, s.total, s.n FROM spending s JOIN customer c ON c.id = s.customer WHERE s.total >"
                                    " (SELECT avg(total) FROM spending) ORDER BY s.total DESC, c.name LIMIT 5");
    show("customers without items", "SELECT count(*) FROM customer c LEFT JOIN item i ON i.customer = c.id WHERE i.id IS NULL");
    sqlite3_int64 pairs = 0;
    for (int i = 1; i < rows; i++)
        pairs += customer_of(i) == customer_of(i + 1);
    check(number("SELECT count(*) FROM item a JOIN item b ON b.id = a.id + 1 WHERE a.customer = b.customer") == pairs, "self join");
}

static void query(int rows) {
    show("windows", "SELECT name, total, rank() OVER (ORDER BY total DESC), sum(total) OVER (ORDER BY total DESC, name ROWS UNBOUNDED PRECEDING),"
                    " ntile(4) OVER (ORDER BY total), lag(name, 1, '-') OVER (ORDER BY total DESC)"
                    " FROM spending JOIN customer ON id = customer ORDER BY total DESC, name LIMIT 6");
    show("recursive", "WITH RECURSIVE collatz(n, steps) AS (SELECT 27, 0 UNION ALL SELECT CASE n % 2 WHEN 0 THEN n / 2 ELSE 3 * n + 1 END, steps + 1 FROM collatz WHERE n > 1)"
                      " SELECT max(n), max(steps) FROM collatz");
    show("two relations", "WITH rich AS (SELECT customer FROM spending ORDER BY total DESC LIMIT 50), busy AS (SELECT customer FROM spending ORDER BY n DESC, customer LIMIT 50)"
                          " SELECT (SELECT count(*) FROM (SELECT * FROM rich INTERSECT SELECT * FROM busy)), (SELECT count(*) FROM (SELECT * FROM rich UNION SELECT * FROM busy)),"
                          " (SELECT count(*) FROM (SELECT * FROM rich EXCEPT SELECT * FROM busy))");
    show("text", "SELECT upper(substr(note, 1, 8)), length(note), instr(note, 'item'), replace(note, 'note', 'Note'), hex(payload), quote(payload), typeof(ratio), printf('%.6f', ratio)"
                 " FROM item WHERE id IN (1, 7, 8, 19) ORDER BY id");
    show("like and glob", "SELECT count(*), sum(note GLOB '*[a-f] of item *9'), sum(note LIKE 'NOTE %0'), group_concat(DISTINCT length(note)) FROM (SELECT note FROM item WHERE note LIKE 'note 0%' ORDER BY length(note))");
    show("values", "SELECT 1/2, 1/2.0, 7 % 3, -7 / 2, 1e300 * 1e10, 'a' || NULL, coalesce(NULL, 'x'), 9223372036854775807 + 1, x'414243', CAST('12abc' AS INTEGER), 0x10, round(2.5), abs(-3), 1 << 40, ~5");
    show("dates", "SELECT date('2024-02-28', '+2 days'), strftime('%Y-%j %H:%M', '2000-01-01 12:34:56', '-1 month'), julianday('2013-05-01') - julianday('2013-01-01'), unixepoch('2020-01-01')");
    show("json", "SELECT json_extract('{\"a\":[1,2,{\"b\":\"c\"}]}', '$.a[2].b'), json_array_length('[1,2,3]'), json_group_array(region) FROM (SELECT DISTINCT region FROM customer ORDER BY region)");
    sqlite3_int64 few = 0;
    for (int i = 1; i <= rows; i++)
        few += (cents_of(i) >= 100 && cents_of(i) <= 200) || region_of(customer_of(i)) == 3;
    check(number("SELECT count(*) FROM item WHERE cents BETWEEN 100 AND 200 OR customer IN (SELECT id FROM customer WHERE region = 3)") == few, "subquery");
    check(number("SELECT count(*) FROM (SELECT id FROM item ORDER BY ratio DESC, id LIMIT 1000)") == (rows < 1000 ? rows : 1000), "sorted and limited");
}

static int collate_reverse(void *context, int na, const void *a, int nb, const void *b) {
    (*(int *)context)++;
    int c = memcmp(b, a, (size_t)(na < nb ? na : nb));
    return c ? c : nb - na;
}

static void function_mix(sqlite3_context *context, int n, sqlite3_value **v) {
    sqlite3_int64 sum = *(int *)sqlite3_user_data(context);
    for (int i = 0; i < n; i++)
        sum = sum * 31 + sqlite3_value_int64(v[i]);
    sqlite3_result_int64(context, sum);
}

struct product { double value; int n; };
static void product_step(sqlite3_context *context, int n, sqlite3_value **v) {
    struct product *p = sqlite3_aggregate_context(context, sizeof *p);
    (void)n;
    if (!p)
        return;
    p->value = (p->n++ ? p->value : 1) * (1 + sqlite3_value_double(v[0]));
}
static void product_final(sqlite3_context *context) {
    struct product *p = sqlite3_aggregate_context(context, sizeof *p);
    sqlite3_result_double(context, p && p->n ? p->value : 0);
}

/* Callbacks from SQLite into this file: functions, aggregates, collations, hooks. */
static void count_update(void *context, int op, const char *database, const char *table, sqlite3_int64 row) {
    (void)op, (void)database, (void)table, (void)row;
    (*(int *)context)++;
}

static void callbacks(void) {
    int start = 17, compares = 0;
    if (sqlite3_create_function(db, "mix", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, &start, function_mix, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(db, "product", 1, SQLITE_UTF8, NULL, NULL, product_step, product_final) != SQLITE_OK ||
        sqlite3_create_collation(db, "reverse", SQLITE_UTF8, &compares, collate_reverse) != SQLITE_OK)
        die("register functions");
    check(number("SELECT mix(1, 2, 3)") == ((17 * 31 + 1) * 31 + 2) * 31 + 3, "own function");
    show("own functions", "SELECT mix(id, region), (SELECT printf('%.9f', product(ratio)) FROM item WHERE id < 10) FROM customer WHERE id < 4");
    show("own collation", "SELECT name FROM customer ORDER BY name COLLATE reverse LIMIT 3");
    check(compares > 0, "the collation was called");
}

static void change(int rows) {
    int updates = 0;
    sqlite3_update_hook(db, count_update, &updates);
    run("BEGIN; UPDATE item SET cents = cents + 1 WHERE customer % 2 = 0");
    sqlite3_int64 expected = 0, kept = 0, changed = sqlite3_changes(db);
    for (int i = 1; i <= rows; i++)
        expected += customer_of(i) % 2 == 0;
    check(changed == expected && updates == expected, "%lld rows changed, hook saw %d, expected %lld", (long long)changed, updates, (long long)expected);
    run("SAVEPOINT inner; DELETE FROM item; ROLLBACK TO inner; RELEASE inner");
    check(number("SELECT count(*) FROM item") == rows, "rolled back to the savepoint");
    run("DELETE FROM item WHERE id % 3 = 0; COMMIT");
    for (int i = 1; i <= rows; i++)
        kept += i % 3 != 0;
    check(number("SELECT count(*) FROM item") == kept, "rows after delete");
    check(number("SELECT count(*) FROM audit") == rows - kept, "rows the trigger wrote");
    run("BEGIN; DELETE FROM customer; ROLLBACK");
    check(number("SELECT count(*) FROM customer") == customers, "rolled back");
    run("INSERT INTO customer VALUES(1, 'customer 0001', 0) ON CONFLICT(id) DO UPDATE SET name = name || ' again'");
    check(sqlite3_exec(db, "INSERT INTO item(customer, cents) VALUES(1, -5)", NULL, NULL, NULL) == SQLITE_CONSTRAINT, "the check constraint holds");
    check(sqlite3_exec(db, "SELECT 1 FROM nowhere", NULL, NULL, NULL) == SQLITE_ERROR, "an unknown table is an error");
    printf("-- error text\n%s\n", sqlite3_errmsg(db));
    sqlite3_update_hook(db, NULL, NULL);
    show("after the changes", "SELECT count(*), sum(cents), min(id), max(id), (SELECT name FROM customer WHERE id = 1) FROM item");
    run("CREATE TABLE copy AS SELECT id, customer, cents FROM item WHERE note IS NOT NULL; ALTER TABLE copy ADD COLUMN extra DEFAULT 'none'; DROP INDEX item_note; VACUUM");
    show("schema", "SELECT type, name FROM sqlite_schema ORDER BY type, name");
}

int main(int argc, char **argv) {
    int rows = default_rows;
    if (argc > 2 || (argc == 2 && (rows = atoi(argv[1])) < 1)) {
        fprintf(stderr, "usage: workload [ROWS]\n");
        return 2;
    }
    printf("SQLite %s\n", sqlite3_libversion());
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        die("open");
    create_and_fill(rows);
    index_and_join(rows);
    query(rows);
    callbacks();
    change(rows);
    check(show("integrity", "PRAGMA integrity_check") == 1, "one line from integrity_check");
    sqlite3_stmt *s = prepare("PRAGMA integrity_check");
    check(sqlite3_step(s) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0, "integrity_check says ok");
    sqlite3_finalize(s);
    check(sqlite3_next_stmt(db, NULL) == NULL, "every statement is finalized");
    check(sqlite3_close(db) == SQLITE_OK, "the database closes");
    check(sqlite3_memory_used() == 0, "%lld bytes still in use", (long long)sqlite3_memory_used());
    printf("%s\n", failures ? "FAILED" : "all results are right");
    return failures ? 1 : 0;
}
