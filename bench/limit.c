/* limit: the floor of bench/send_text.py. A C program that does as little as can be done between
   "HTTP POST" and "durable, answered 200": one thread, SQLite in WAL with synchronous=FULL, group
   commit by turn of the event loop, three statements a message; no rules, no permissions, no
   record. Built by the scripts: gcc -O2 -o limit limit.c -lsqlite3 */
/* D: the floor for "HTTP POST -> durable append -> 200": one thread, epoll, keep-alive, group commit by event-loop turn.
   usage: limit PORT MODE FILE ; MODE = mem (no disk) | log (write+fdatasync) | sqlite (3 statements a message, WAL FULL)
   build: gcc -O2 -o limit limit.c -lsqlite3 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef struct { char b[8192]; int n; } conn;
static conn *cs[65536]; static sqlite3 *db; static sqlite3_stmt *su, *sm, *so; static int lf = -1; static char out[1 << 20]; static size_t on;
static void X(const char *q) { char *e = 0; if (sqlite3_exec(db, q, 0, 0, &e)) { fprintf(stderr, "%s: %s\n", q, e); exit(1); } }
static long put(const char *body, int n, int mode) {
  static long seq; 
  if (mode == 1) { if (on + n + 1 > sizeof out) { if (write(lf, out, on) < 0) exit(1); on = 0; } memcpy(out + on, body, n); on += n; out[on++] = '\n'; return ++seq; }
  if (mode == 0) return ++seq;
  int ch = 1 + rand() % 200; struct timespec t; clock_gettime(CLOCK_REALTIME, &t); long ns = t.tv_sec * 1000000000L + t.tv_nsec; unsigned char u[16]; if (getrandom(u, 16, 0) < 0) exit(1);
  sqlite3_bind_int(su, 1, ch); sqlite3_step(su); long s = sqlite3_column_int64(su, 0); sqlite3_step(su); sqlite3_reset(su);
  sqlite3_bind_blob(sm, 1, u, 16, SQLITE_TRANSIENT); sqlite3_bind_int(sm, 2, ch); sqlite3_bind_int64(sm, 3, s); sqlite3_bind_text(sm, 4, body, n, SQLITE_STATIC); sqlite3_bind_int64(sm, 5, ns); sqlite3_step(sm); sqlite3_reset(sm);
  sqlite3_bind_int(so, 1, ch); sqlite3_bind_text(so, 2, body, n, SQLITE_STATIC); sqlite3_bind_int64(so, 3, ns); sqlite3_step(so); sqlite3_reset(so); return s;
}
int main(int c, char **v) {
  int mode = !strcmp(v[2], "log") ? 1 : !strcmp(v[2], "sqlite") ? 2 : 0; (void)c;
  if (mode == 1) lf = open(v[3], O_CREAT | O_WRONLY | O_TRUNC | O_APPEND, 0600);
  if (mode == 2) { unlink(v[3]); sqlite3_open(v[3], &db); X("PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA cache_size=-65536;"
    "CREATE TABLE chat(id INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL DEFAULT 0);CREATE TABLE message(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, chat_id INTEGER NOT NULL, seq INTEGER NOT NULL, author_id INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, reply_to BLOB, status TEXT NOT NULL, idem_key TEXT, created_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX m1 ON message(uuid);CREATE UNIQUE INDEX m2 ON message(chat_id,seq);CREATE TABLE outbox(id INTEGER PRIMARY KEY, chat_id INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, created_at INTEGER NOT NULL);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) INSERT INTO chat(id) SELECT i FROM n;");
    sqlite3_prepare_v2(db, "UPDATE chat SET last_seq=last_seq+1 WHERE id=? RETURNING last_seq", -1, &su, 0);
    sqlite3_prepare_v2(db, "INSERT INTO message(uuid,chat_id,seq,author_id,kind,body,status,created_at) VALUES(?,?,?,7,'text',?,'sent',?)", -1, &sm, 0);
    sqlite3_prepare_v2(db, "INSERT INTO outbox(chat_id,kind,payload,created_at) VALUES(?,'message.created',?,?)", -1, &so, 0); }
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1; setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(v[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(l, (void *)&a, sizeof a) || listen(l, 1024)) return perror("bind"), 1;
  int ep = epoll_create1(0); struct epoll_event e = {.events = EPOLLIN, .data.fd = l}, ev[512]; epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  for (;;) {
    int n = epoll_wait(ep, ev, 512, -1), done[512], nd = 0; long sq[512]; int tx = 0;
    for (int i = 0; i < n; i++) {
      int f = ev[i].data.fd;
      if (f == l) { int k; while ((k = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) { setsockopt(k, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); cs[k] = calloc(1, sizeof(conn)); e.data.fd = k; epoll_ctl(ep, EPOLL_CTL_ADD, k, &e); } continue; }
      conn *q = cs[f]; int r = read(f, q->b + q->n, sizeof q->b - 1 - q->n);
      if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; close(f); free(q); cs[f] = 0; continue; }
      q->n += r; q->b[q->n] = 0; char *h = strstr(q->b, "\r\n\r\n"); if (!h) continue;
      char *cl = strcasestr(q->b, "content-length:"); int bl = cl && cl < h ? atoi(cl + 15) : 0; if (q->b + q->n < h + 4 + bl) continue;
      char *k = strcasestr(q->b, "x-api-key: "), *ac = strcasestr(q->b, "x-account-id: "); if (!k || !ac || strncmp(k + 11, "kkkkkkkk", 8)) { close(f); free(q); cs[f] = 0; continue; }
      if (mode == 2 && !tx) { X("BEGIN IMMEDIATE"); tx = 1; }
      sq[nd] = put(h + 4, bl, mode); done[nd++] = f; q->n = 0;
    }
    if (tx) X("COMMIT");
    if (mode == 1 && nd) { if (write(lf, out, on) < 0) return 1; on = 0; fdatasync(lf); }
    for (int i = 0; i < nd; i++) { char m[256], o[512]; int ml = sprintf(m, "{\"uuid\":\"b1a2c3d4-6a3c-4f59-9a55-2f1d8c1c7a10\",\"seq\":%ld,\"status\":\"accepted\"}", sq[i]);
      int ol = sprintf(o, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", ml, m); if (write(done[i], o, ol) < 0) {} }
  }
}
