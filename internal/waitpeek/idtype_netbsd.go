package waitpeek

// idPID is P_PID of sys/idtype.h.
const idPID = 1
