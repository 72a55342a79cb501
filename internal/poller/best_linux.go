package poller

const best = "epoll"
