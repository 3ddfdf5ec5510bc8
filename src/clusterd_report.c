/* The file gets its name when it is complete: a report that was cut off is none. */
#include "clusterd_report.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define CLUSTERD_REPORT_SOCKET "/var/lib/clusterd/clusterd.sock"

enum { CLUSTERD_REPORT_STALL_S = 60, CLUSTERD_REPORT_CONNECT_S = 10 };

struct clusterd_report {
    FILE *file;
    long status;       /* of HTTP */
    char partial[256]; /* why it holds only what some nodes have; "": it is whole */
    char said[1024];   /* the beginning of an answer that is no report */
    size_t said_len;
    CURL *curl;
};

static size_t clusterd_report_on_data(char *data, size_t size, size_t n, void *arg)
{
    struct clusterd_report *report = arg;
    (void)curl_easy_getinfo(report->curl, CURLINFO_RESPONSE_CODE, &report->status);
    if (report->status == 200)
        return fwrite(data, size, n, report->file);
    size_t room = sizeof report->said - 1 - report->said_len;
    size_t take = size * n < room ? size * n : room;
    memcpy(report->said + report->said_len, data, take);
    report->said_len += take;
    return size * n;
}

static size_t clusterd_report_on_header(char *data, size_t size, size_t n, void *arg)
{
    static const char name[] = "Clusterd-Partial:";
    struct clusterd_report *report = arg;
    size_t len = size * n;
    if (len < sizeof name || strncasecmp(data, name, sizeof name - 1) != 0)
        return len;
    char *clean = str_printable(data + sizeof name - 1, len - (sizeof name - 1), false);
    (void)snprintf(report->partial, sizeof report->partial, "%s", clean + strspn(clean, " "));
    report->partial[strcspn(report->partial, "\\\r\n")] = '\0';
    free(clean);
    return len;
}

static const char *clusterd_report_socket(const char *socket)
{
    const char *endpoint = getenv("CLUSTERSH_ENDPOINT");
    if (socket != NULL)
        return str_starts_with(socket, "unix:") ? socket + 5 : socket;
    return endpoint != NULL && str_starts_with(endpoint, "unix:") ? endpoint + 5
                                                                  : CLUSTERD_REPORT_SOCKET;
}

static char *clusterd_report_url(CURL *curl, const char *since)
{
    char *escaped = curl_easy_escape(curl, since != NULL ? since : "", 0);
    char *url = mem_printf("http://localhost/api/report%s%s", since != NULL ? "?since=" : "",
                           since != NULL ? escaped : "");
    curl_free(escaped);
    return url;
}

static int clusterd_report_fetch(struct clusterd_report *report, const char *since,
                                 const char *socket)
{
    char text[CURL_ERROR_SIZE] = "";
    char *url = clusterd_report_url(report->curl, since);
    (void)curl_easy_setopt(report->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(report->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    (void)curl_easy_setopt(report->curl, CURLOPT_WRITEFUNCTION, clusterd_report_on_data);
    (void)curl_easy_setopt(report->curl, CURLOPT_WRITEDATA, report);
    (void)curl_easy_setopt(report->curl, CURLOPT_HEADERFUNCTION, clusterd_report_on_header);
    (void)curl_easy_setopt(report->curl, CURLOPT_HEADERDATA, report);
    (void)curl_easy_setopt(report->curl, CURLOPT_ERRORBUFFER, text);
    (void)curl_easy_setopt(report->curl, CURLOPT_CONNECTTIMEOUT, (long)CLUSTERD_REPORT_CONNECT_S);
    (void)curl_easy_setopt(report->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(report->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(report->curl, CURLOPT_LOW_SPEED_TIME, (long)CLUSTERD_REPORT_STALL_S);
    CURLcode rc = curl_easy_perform(report->curl);
    (void)curl_easy_getinfo(report->curl, CURLINFO_RESPONSE_CODE, &report->status);
    free(url);
    if (rc == CURLE_OK && report->status == 200)
        return 0;
    char *said = str_printable(report->said, report->said_len, false);
    if (rc == CURLE_COULDNT_CONNECT)
        fprintf(stderr, "clusterd: no node answers on %s: --socket names another one\n", socket);
    else if (rc != CURLE_OK)
        fprintf(stderr, "clusterd: the report was cut off (%s): the log of the node says why\n",
                text[0] != '\0' ? text : curl_easy_strerror(rc));
    else
        fprintf(stderr, "clusterd: the node answered %ld: %s\n", report->status, said);
    free(said);
    return 1;
}

int clusterd_report_run(const char *path, const char *since, const char *socket)
{
    struct clusterd_report report = {.curl = curl_easy_init()};
    char *part = mem_printf("%s.part", path);
    report.file = fopen(part, "wbe");
    if (report.file == NULL || report.curl == NULL) {
        fprintf(stderr, "clusterd: %s: %s\n", part, strerror(errno));
        curl_easy_cleanup(report.curl);
        free(part);
        return 1;
    }
    int status = clusterd_report_fetch(&report, since, clusterd_report_socket(socket));
    if (fclose(report.file) != 0 && status == 0) {
        fprintf(stderr, "clusterd: %s: %s\n", part, strerror(errno));
        status = 1;
    }
    if (status == 0 && rename(part, path) != 0) {
        fprintf(stderr, "clusterd: %s: %s\n", path, strerror(errno));
        status = 1;
    }
    if (status != 0)
        (void)unlink(part);
    else
        printf("wrote %s\nOpen it: clustertop --replay %s\n", path, path);
    if (status == 0 && report.partial[0] != '\0')
        fprintf(stderr,
                "clusterd: it holds only what this node and those that it reaches have: %s\n",
                report.partial);
    curl_easy_cleanup(report.curl);
    free(part);
    return status;
}
