/* What the parts of the files API share; nobody else includes it. */
#ifndef ROLE_FILES_INTERNAL_H
#define ROLE_FILES_INTERNAL_H

#include <sys/queue.h>

#include "role/files_api.h"
#include "role/node.h"

struct files_download;
struct files_upload;

struct files_api {
    struct node *node;
    bool stopped;
    TAILQ_HEAD(, files_upload) uploads;
    TAILQ_HEAD(, files_download) downloads;
    unsigned downloads_n;
    void (*closed)(void *arg);
    void *closed_arg;
};

void files_api_check_closed(struct files_api *api);

void files_upload_post(struct http_request *req, void *arg);
void files_upload_stop(struct files_api *api);

void files_download_get(struct http_request *req, void *arg);
void files_download_stop(struct files_api *api);

#endif
