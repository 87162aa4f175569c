/**
 * @file spork.h
 * Spork: multiprocessing for C. Include this one; each concept has its own header beside it.
 */
#ifndef SPORK_SPORK_H
#define SPORK_SPORK_H

#include "base.h"
#include "value.h"
#include "process.h"
#include "connection.h"
#include "queue.h"
#include "sync.h"
#include "shm.h"
#include "handle.h"
#include "thread.h"
#include "pool.h"
#include "wait.h"

#endif
