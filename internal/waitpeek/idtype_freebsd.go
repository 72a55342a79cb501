package waitpeek

// idPID is P_PID of sys/wait.h.
const idPID = 0
