/* Log lines: to the user's callback, else to stderr. */
#ifndef SPORK_LOG_H
#define SPORK_LOG_H

#include <spork/base.h>

#ifdef __cplusplus
extern "C" {
#endif

void spork__log(spork_log_level level, const char *format, ...) SPORK__PRINTF(2, 3);
/* The name that lines carry; the text must live as long as the process. */
void spork__log_name(const char *process);

#ifdef __cplusplus
}
#endif
#endif
