/* Turns the recording of traces on where trace.endpoint names a collector, and sends them there. */
#ifndef ROLE_TRACES_H
#define ROLE_TRACES_H

#include "role/role.h"

extern const struct role traces_role;

#endif
