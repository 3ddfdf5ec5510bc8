#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/loop.h"

struct loop_work {
    uv_work_t request;
    loop_work_fn work;
    loop_work_done_fn done;
    void *arg;
};

static void loop_work_run(uv_work_t *request)
{
    struct loop_work *work = request->data;
    work->work(work->arg);
}

static void loop_work_finish(uv_work_t *request, int status)
{
    struct loop_work *work = request->data;
    assert(status == 0 || status == UV_ECANCELED);
    work->done(work->arg, status == 0 ? 0 : ERR_CANCELLED);
    free(work);
}

struct loop_work *loop_work(struct loop *loop, loop_work_fn fn, loop_work_done_fn done, void *arg)
{
    assert(fn != NULL && done != NULL);
    struct loop_work *work = mem_zalloc(sizeof *work);
    *work = (struct loop_work){.work = fn, .done = done, .arg = arg};
    work->request.data = work;
    int err = uv_queue_work(loop_uv(loop), &work->request, loop_work_run, loop_work_finish);
    assert(err == 0);
    (void)err;
    return work;
}

int loop_work_cancel(struct loop_work *work)
{
    return uv_cancel((uv_req_t *)&work->request) == 0 ? 0 : ERR_BUSY;
}
