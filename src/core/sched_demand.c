/* The classes of a pool by what they demand, so that what a node has room for is found without a
 * look at the others.
 *
 * Classes that take equally many slots, equally far ahead, form a group; in it they are a balanced
 * tree (AVL) by memory, whose nodes know the first job below them. The first job that needs at most
 * so much memory is then found on one path down. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched_internal.h"

struct sched_group {
    uint32_t cpus;
    enum sched_ahead ahead;
    struct sched_class *root;
};

/* ---- the tree ---------------------------------------------------------------------------------
 */

static int sched_tree_height(const struct sched_class *class)
{
    return class != NULL ? class->height : 0;
}

static struct sched_job *sched_earlier(struct sched_job *a, struct sched_job *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return sched_job_before(b, a) ? b : a;
}

static void sched_tree_pull(struct sched_class *class)
{
    int left = sched_tree_height(class->left_child);
    int right = sched_tree_height(class->right_child);
    class->height = (left > right ? left : right) + 1;
    class->first_below = sched_class_first(class);
    if (class->left_child != NULL)
        class->first_below = sched_earlier(class->first_below, class->left_child->first_below);
    if (class->right_child != NULL)
        class->first_below = sched_earlier(class->first_below, class->right_child->first_below);
}

static struct sched_class *sched_tree_rotate_right(struct sched_class *class)
{
    struct sched_class *up = class->left_child;
    class->left_child = up->right_child;
    up->right_child = class;
    sched_tree_pull(class);
    sched_tree_pull(up);
    return up;
}

static struct sched_class *sched_tree_rotate_left(struct sched_class *class)
{
    struct sched_class *up = class->right_child;
    class->right_child = up->left_child;
    up->left_child = class;
    sched_tree_pull(class);
    sched_tree_pull(up);
    return up;
}

/* > 0: the left side is higher. */
static int sched_tree_lean(const struct sched_class *class)
{
    return sched_tree_height(class->left_child) - sched_tree_height(class->right_child);
}

/* The root of the tree of `class`, whose children's heights differ by two at most. */
static struct sched_class *sched_tree_balance(struct sched_class *class)
{
    sched_tree_pull(class);
    int lean = sched_tree_lean(class);
    if (lean > 1) {
        if (sched_tree_lean(class->left_child) < 0)
            class->left_child = sched_tree_rotate_left(class->left_child);
        return sched_tree_rotate_right(class);
    }
    if (lean < -1) {
        if (sched_tree_lean(class->right_child) > 0)
            class->right_child = sched_tree_rotate_right(class->right_child);
        return sched_tree_rotate_left(class);
    }
    return class;
}

static struct sched_class *sched_tree_add(struct sched_class *root, struct sched_class *class)
{
    if (root == NULL) {
        sched_tree_pull(class);
        return class;
    }
    assert(class->memory_bytes != root->memory_bytes);
    if (class->memory_bytes < root->memory_bytes)
        root->left_child = sched_tree_add(root->left_child, class);
    else
        root->right_child = sched_tree_add(root->right_child, class);
    return sched_tree_balance(root);
}

static struct sched_class *sched_tree_take_least(struct sched_class *root,
                                                 struct sched_class **least)
{
    if (root->left_child == NULL) {
        *least = root;
        return root->right_child;
    }
    root->left_child = sched_tree_take_least(root->left_child, least);
    return sched_tree_balance(root);
}

static struct sched_class *sched_tree_remove(struct sched_class *root,
                                             const struct sched_class *class)
{
    if (class->memory_bytes < root->memory_bytes) {
        root->left_child = sched_tree_remove(root->left_child, class);
    } else if (class->memory_bytes > root->memory_bytes) {
        root->right_child = sched_tree_remove(root->right_child, class);
    } else if (root->right_child == NULL) {
        return root->left_child;
    } else {
        struct sched_class *least = NULL;
        struct sched_class *right = sched_tree_take_least(root->right_child, &least);
        least->left_child = root->left_child;
        least->right_child = right;
        root = least;
    }
    return sched_tree_balance(root);
}

/* The way down to the class is pulled again. */
static void sched_tree_refresh(struct sched_class *root, const struct sched_class *class)
{
    if (class->memory_bytes < root->memory_bytes)
        sched_tree_refresh(root->left_child, class);
    else if (class->memory_bytes > root->memory_bytes)
        sched_tree_refresh(root->right_child, class);
    sched_tree_pull(root);
}

static struct sched_job *sched_tree_first(const struct sched_class *root, uint64_t memory_max,
                                          const struct sched_class *except)
{
    struct sched_job *first = NULL;
    while (root != NULL) {
        if (root->memory_bytes > memory_max) {
            root = root->left_child;
            continue;
        }
        if (root != except)
            first = sched_earlier(first, sched_class_first(root));
        const struct sched_class *left = root->left_child;
        if (left != NULL && left->first_below != NULL) {
            if (left->first_below->class != except)
                first = sched_earlier(first, left->first_below);
            else
                first = sched_earlier(first, sched_tree_first(left, UINT64_MAX, except));
        }
        root = root->right_child;
    }
    return first;
}

/* ---- groups -----------------------------------------------------------------------------------
 */

/* Where a group is, or would be, in the pool's groups: by slots, then by how far ahead. */
static size_t sched_group_at(const struct sched_pool *pool, uint32_t cpus, enum sched_ahead ahead)
{
    size_t from = 0;
    size_t to = pool->groups_n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        const struct sched_group *group = &pool->groups[mid];
        if (group->cpus < cpus || (group->cpus == cpus && group->ahead < ahead))
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static struct sched_group *sched_group_find(const struct sched_pool *pool, uint32_t cpus,
                                            enum sched_ahead ahead)
{
    size_t at = sched_group_at(pool, cpus, ahead);
    bool found =
        at < pool->groups_n && pool->groups[at].cpus == cpus && pool->groups[at].ahead == ahead;
    return found ? &pool->groups[at] : NULL;
}

static struct sched_group *sched_group_get(struct sched_pool *pool, uint32_t cpus,
                                           enum sched_ahead ahead)
{
    struct sched_group *group = sched_group_find(pool, cpus, ahead);
    if (group != NULL)
        return group;
    size_t at = sched_group_at(pool, cpus, ahead);
    MEM_GROW(pool->groups, pool->groups_cap, pool->groups_n + 1);
    memmove(&pool->groups[at + 1], &pool->groups[at], (pool->groups_n - at) * sizeof *group);
    pool->groups_n++;
    pool->groups[at] = (struct sched_group){.cpus = cpus, .ahead = ahead};
    return &pool->groups[at];
}

struct sched_class *sched_demand_find(const struct sched_pool *pool, uint32_t cpus,
                                      uint64_t memory_bytes, enum sched_ahead ahead)
{
    const struct sched_group *group = sched_group_find(pool, cpus, ahead);
    struct sched_class *class = group != NULL ? group->root : NULL;
    while (class != NULL && class->memory_bytes != memory_bytes)
        class = memory_bytes < class->memory_bytes ? class->left_child : class->right_child;
    return class;
}

void sched_demand_add(struct sched_class *class)
{
    struct sched_group *group = sched_group_get(class->pool, class->cpus, class->ahead);
    group->root = sched_tree_add(group->root, class);
}

void sched_demand_remove(struct sched_class *class)
{
    struct sched_pool *pool = class->pool;
    struct sched_group *group = sched_group_find(pool, class->cpus, class->ahead);
    group->root = sched_tree_remove(group->root, class);
    if (group->root != NULL)
        return;
    size_t at = (size_t)(group - pool->groups);
    pool->groups_n--;
    memmove(group, group + 1, (pool->groups_n - at) * sizeof *group);
}

void sched_demand_changed(struct sched_class *class)
{
    const struct sched_group *group = sched_group_find(class->pool, class->cpus, class->ahead);
    sched_tree_refresh(group->root, class);
}

struct sched_job *sched_demand_first(const struct sched_pool *pool,
                                     const struct sched_demand *demand,
                                     const struct sched_class *except)
{
    struct sched_job *first = NULL;
    for (size_t i = 0; i < pool->groups_n && pool->groups[i].cpus <= demand->cpus_max; i++) {
        if (pool->groups[i].ahead >= demand->ahead_min)
            first = sched_earlier(
                first, sched_tree_first(pool->groups[i].root, demand->memory_max, except));
    }
    return first;
}

/* ---- invariants -------------------------------------------------------------------------------
 */

static size_t sched_demand_check_tree(const struct sched_group *group,
                                      const struct sched_class *class, uint64_t least,
                                      uint64_t most)
{
    if (class == NULL)
        return 0;
    assert(class->cpus == group->cpus && class->ahead == group->ahead);
    assert(class->memory_bytes >= least && class->memory_bytes <= most);
    int lean = sched_tree_lean(class);
    assert(lean >= -1 && lean <= 1);
    size_t n = 1;
    struct sched_job *first = sched_class_first(class);
    if (class->left_child != NULL) {
        n += sched_demand_check_tree(group, class->left_child, least, class->memory_bytes - 1);
        first = sched_earlier(first, class->left_child->first_below);
    }
    if (class->right_child != NULL) {
        n += sched_demand_check_tree(group, class->right_child, class->memory_bytes + 1, most);
        first = sched_earlier(first, class->right_child->first_below);
    }
    assert(class->first_below == first);
    return n;
}

void sched_demand_check(const struct sched_pool *pool)
{
    size_t n = 0;
    for (size_t i = 0; i < pool->groups_n; i++) {
        assert(pool->groups[i].root != NULL);
        assert(sched_group_at(pool, pool->groups[i].cpus, pool->groups[i].ahead) == i);
        n += sched_demand_check_tree(&pool->groups[i], pool->groups[i].root, 0, UINT64_MAX);
    }
    const struct sched_class *class;
    LIST_FOREACH (class, &pool->classes, of_pool)
        n--;
    assert(n == 0);
}
