/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's side of a vhost-user connection; the header says how. */
#include "frontend.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define MAX_FDS 16

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void fe_init(struct frontend *fe, int sock, int timeout_ms)
{
	*fe = (struct frontend){.sock = sock, .backend_req = -1, .timeout_ms = timeout_ms};
}

int fe_connect(struct frontend *fe, const char *path, int timeout_ms)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	autofd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t end = now_ms() + timeout_ms;

	if (sock < 0)
		return -errno;
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	while (connect(sock, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			return -errno;
		if (now_ms() > end)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	fe_init(fe, fd_take(&sock), timeout_ms);
	return 0;
}

void fe_close(struct frontend *fe)
{
	if (fe->sock >= 0)
		close(fe->sock);
	if (fe->backend_req >= 0)
		close(fe->backend_req);
	fe->sock = fe->backend_req = -1;
}

int fe_send(struct frontend *fe, const struct vu_header *h, const void *payload, const int *fds,
	unsigned int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} ctl = {0};
	struct vu_header head = *h;
	struct iovec iov[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, payload ? h->size : 0}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t want = (ssize_t)(iov[0].iov_len + iov[1].iov_len);

	if (nfds > MAX_FDS)
		return -E2BIG;
	if (nfds) {
		ctl.hdr.cmsg_level = SOL_SOCKET;
		ctl.hdr.cmsg_type = SCM_RIGHTS;
		ctl.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&ctl.hdr), fds, nfds * sizeof(int));
		msg.msg_control = &ctl;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	if (sendmsg(fe->sock, &msg, MSG_NOSIGNAL) != want)
		return errno == EPIPE ? -ECONNRESET : -EIO;
	return 0;
}

/* Exactly @len bytes; a descriptor that comes with the first of them goes to *fd. */
static int receive(struct frontend *fe, void *buf, size_t len, int *fd)
{
	int64_t end = now_ms() + fe->timeout_ms;
	char *p = buf;

	for (size_t got = 0; got < len;) {
		union {
			struct cmsghdr hdr;
			char buf[CMSG_SPACE(sizeof(int))];
		} ctl = {0};
		struct iovec iov = {p + got, len - got};
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)};
		struct pollfd pfd = {.fd = fe->sock, .events = POLLIN};
		ssize_t n;

		if (poll(&pfd, 1, (int)MAX(end - now_ms(), 0)) <= 0)
			return -ETIMEDOUT;
		n = recvmsg(fe->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return -ECONNRESET;
		if (msg.msg_controllen && ctl.hdr.cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(&ctl.hdr), sizeof(int));
		got += (size_t)n;
	}
	return 0;
}

int fe_receive(struct frontend *fe, uint32_t request, void *payload, uint32_t *size, int *fd)
{
	autofd int came = -1;
	struct vu_header h;
	int r = receive(fe, &h, sizeof(h), &came);

	if (r)
		return r;
	if (h.request != request || (h.flags & 3) != VU_VERSION || !(h.flags & VU_REPLY) || h.size > *size)
		return -EPROTO;
	r = receive(fe, payload, h.size, &came);
	*size = h.size;
	if (fd)
		*fd = fd_take(&came);
	return r;
}

int fe_tell(struct frontend *fe, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct vu_header h = {request, VU_VERSION | (fe->ack ? VU_NEED_REPLY : 0), size};
	uint32_t len = sizeof(uint64_t);
	uint64_t answer = 0;
	int r = fe_send(fe, &h, payload, &fd, fd >= 0);

	if (r || !fe->ack)
		return r;
	r = fe_receive(fe, request, &answer, &len, NULL);
	if (r)
		return r;
	if (len != sizeof(answer))
		return -EPROTO;
	return answer ? -EREMOTEIO : 0;
}

int fe_tell_u64(struct frontend *fe, uint32_t request, uint64_t value)
{
	return fe_tell(fe, request, &value, sizeof(value), -1);
}

int fe_ask(struct frontend *fe, uint32_t request, const void *payload, uint32_t size, void *reply,
	uint32_t reply_size)
{
	struct vu_header h = {request, VU_VERSION, size};
	uint32_t len = reply_size;
	int r = fe_send(fe, &h, payload, NULL, 0);

	if (!r)
		r = fe_receive(fe, request, reply, &len, NULL);
	return r ? r : len == reply_size ? 0 : -EPROTO;
}

int fe_ask_u64(struct frontend *fe, uint32_t request, uint64_t *value)
{
	return fe_ask(fe, request, NULL, 0, value, sizeof(*value));
}

bool fe_has_protocol(const struct frontend *fe, unsigned int bit)
{
	return fe->protocol & VU_BIT(bit);
}

int fe_set_features(struct frontend *fe, uint64_t features)
{
	fe->features = features;
	return fe_tell_u64(fe, VU_SET_FEATURES, features);
}

int fe_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol)
{
	int r = fe_tell(fe, VU_SET_OWNER, NULL, 0, -1);

	if (!r)
		r = fe_ask_u64(fe, VU_GET_FEATURES, &fe->offered);
	if (r)
		return r;
	fe->features = fe->offered & features;
	if (!(fe->features & VU_BIT(VU_F_PROTOCOL_FEATURES)))
		return 0;
	r = fe_ask_u64(fe, VU_GET_PROTOCOL_FEATURES, &fe->protocol_offered);
	if (r)
		return r;
	fe->protocol = fe->protocol_offered & protocol;
	r = fe_tell_u64(fe, VU_SET_PROTOCOL_FEATURES, fe->protocol);
	fe->ack = fe_has_protocol(fe, VU_P_REPLY_ACK);
	return r;
}

static struct vu_region describe(const struct gm_region *r)
{
	return (struct vu_region){
		.gpa = r->gpa, .size = r->size, .fva = (uintptr_t)r->host, .offset = r->offset};
}

/* @ack: the answer will be asked for. */
static int send_mem_table(struct frontend *fe, const struct guestmem *gm, bool ack)
{
	struct vu_header h = {VU_SET_MEM_TABLE, VU_VERSION | (ack ? VU_NEED_REPLY : 0), 0};
	struct vu_mem_table t = {.count = gm->count};
	int fds[VU_TABLE_REGIONS];

	if (gm->count > VU_TABLE_REGIONS)
		return -E2BIG;
	for (unsigned int i = 0; i < gm->count; i++) {
		t.region[i] = describe(&gm->region[i]);
		fds[i] = gm->region[i].fd;
	}
	h.size = (uint32_t)(offsetof(struct vu_mem_table, region) + gm->count * sizeof(struct vu_region));
	return fe_send(fe, &h, &t, fds, gm->count);
}

int fe_set_mem_table(struct frontend *fe, const struct guestmem *gm)
{
	uint32_t len = sizeof(uint64_t);
	uint64_t answer = 0;
	int r = send_mem_table(fe, gm, fe->ack);

	if (!r && fe->ack)
		r = fe_receive(fe, VU_SET_MEM_TABLE, &answer, &len, NULL);
	return r ? r : answer ? -EREMOTEIO : 0;
}

int fe_tell_mem_table(struct frontend *fe, const struct guestmem *gm)
{
	return send_mem_table(fe, gm, false);
}

int fe_add_mem(struct frontend *fe, const struct gm_region *r)
{
	struct vu_mem_region m = {.region = describe(r)};

	return fe_tell(fe, VU_ADD_MEM_REG, &m, sizeof(m), r->fd);
}

int fe_remove_mem(struct frontend *fe, const struct gm_region *r)
{
	struct vu_mem_region m = {.region = describe(r)};

	return fe_tell(fe, VU_REM_MEM_REG, &m, sizeof(m), -1);
}

int fe_share_mem(struct frontend *fe, const struct guestmem *gm)
{
	int r = 0;

	if (!fe_has_protocol(fe, VU_P_CONFIGURE_MEM_SLOTS))
		return fe_set_mem_table(fe, gm);
	for (unsigned int i = 0; i < gm->count && !r; i++)
		r = fe_add_mem(fe, &gm->region[i]);
	return r;
}

int fe_set_log(struct frontend *fe, int fd, uint64_t size, uint64_t offset)
{
	struct vu_header h = {VU_SET_LOG_BASE, VU_VERSION, sizeof(struct vu_log)};
	struct vu_log l = {.size = size, .offset = offset};
	uint64_t answer[8];
	uint32_t len = sizeof(answer);
	int r = fe_send(fe, &h, &l, &fd, 1);

	/* With LOG_SHMFD there is an answer always; back-ends differ in what it holds. */
	return r ? r : fe_receive(fe, VU_SET_LOG_BASE, answer, &len, NULL);
}

int fe_set_device_state(struct frontend *fe, uint32_t direction, int fd)
{
	struct vu_header h = {VU_SET_DEVICE_STATE_FD, VU_VERSION, sizeof(struct vu_device_state)};
	struct vu_device_state s = {.direction = direction};
	uint64_t answer = 0;
	uint32_t len = sizeof(answer);
	int r = fe_send(fe, &h, &s, &fd, 1);

	if (!r)
		r = fe_receive(fe, VU_SET_DEVICE_STATE_FD, &answer, &len, NULL);
	if (!r && (len != sizeof(answer) || !(answer & VU_STATE_NO_FD)))
		return -EPROTO;
	return r || !(answer & 0xff) ? r : -EREMOTEIO;
}

int fe_check_device_state(struct frontend *fe)
{
	uint64_t answer;
	int r = fe_ask_u64(fe, VU_CHECK_DEVICE_STATE, &answer);

	return r || !answer ? r : -EREMOTEIO;
}

int fe_get_inflight(struct frontend *fe, struct vu_inflight *in, int *fd)
{
	struct vu_header h = {VU_GET_INFLIGHT_FD, VU_VERSION, sizeof(*in)};
	uint32_t len = sizeof(*in);
	int r = fe_send(fe, &h, in, NULL, 0);

	*fd = -1;
	if (!r)
		r = fe_receive(fe, VU_GET_INFLIGHT_FD, in, &len, fd);
	return r || (len == sizeof(*in) && *fd >= 0) ? r : -EPROTO;
}

int fe_set_inflight(struct frontend *fe, const struct vu_inflight *in, int fd)
{
	return fe_tell(fe, VU_SET_INFLIGHT_FD, in, sizeof(*in), fd);
}

int fe_set_vring(struct frontend *fe, uint32_t request, uint32_t index, uint32_t num)
{
	struct vu_vring_state s = {.index = index, .num = num};

	return fe_tell(fe, request, &s, sizeof(s), -1);
}

int fe_get_vring_base(struct frontend *fe, uint32_t index, uint32_t *base)
{
	struct vu_vring_state s = {.index = index}, got;
	int r = fe_ask(fe, VU_GET_VRING_BASE, &s, sizeof(s), &got, sizeof(got));

	if (r)
		return r;
	*base = got.num;
	return got.index == index ? 0 : -EPROTO;
}

int fe_set_vring_fd(struct frontend *fe, uint32_t request, uint32_t index, int fd)
{
	uint64_t v = index | (fd < 0 ? VU_VRING_NOFD : 0);

	return fe_tell(fe, request, &v, sizeof(v), fd);
}

int fe_get_config(struct frontend *fe, uint32_t offset, uint32_t size, void *data)
{
	uint32_t head = offsetof(struct vu_config, data);
	struct vu_header h = {VU_GET_CONFIG, VU_VERSION, head + size};
	struct vu_config c = {.offset = offset, .size = size};
	uint32_t len = sizeof(c);
	int r;

	if (size > VU_CONFIG_MAX)
		return -E2BIG;
	r = fe_send(fe, &h, &c, NULL, 0);
	if (!r)
		r = fe_receive(fe, VU_GET_CONFIG, &c, &len, NULL);
	if (r)
		return r;
	if (!len)
		return -EREMOTEIO; /* how a back-end says no */
	if (len != head + size || c.size != size || c.offset != offset)
		return -EPROTO;
	memcpy(data, c.data, size);
	return 0;
}

int fe_set_backend_req(struct frontend *fe)
{
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	r = fe_tell(fe, VU_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	close(pair[1]);
	if (fe->backend_req >= 0)
		close(fe->backend_req);
	fe->backend_req = pair[0];
	return r;
}
