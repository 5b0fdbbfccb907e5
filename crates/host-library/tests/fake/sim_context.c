/* A libcpu_sim_context.so that knows which device a thread is bound to. */
static __thread int device = -1;

void pto_cpu_sim_bind_device(int id) { device = id; }
int pto_cpu_sim_get_bound_device(void) { return device; }
