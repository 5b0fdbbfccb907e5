// The name under which some orchestrations include the API.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_RUNTIME_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_RUNTIME_H_

#include "pto_orchestration_api.h"

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_RUNTIME_H_
