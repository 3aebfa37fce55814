// Where an invocation is. Sums over a workgroup go by halves, in shared memory, which every device can do.
struct At {
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
}
