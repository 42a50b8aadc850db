/* Preloaded into a process, it ends that with SIGKILL at the n-th call that changes or syncs a file
 * after `arm(n)`, before the call does anything; and it tells the calls that were made meanwhile. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

static long left = -1;
static char made[4096];
static int count;

void arm(long n) { left = n; count = 0; }
const char *calls(void) { left = -1; made[count] = 0; return made; }

static void step(char kind) {
    if (left < 0) return;
    if (left-- == 0) kill(getpid(), SIGKILL);
    if (count < (int)sizeof made - 1) made[count++] = kind;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { step('w'); return REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { step('w'); return REAL(pwrite64)(fd, data, size, at); }
ssize_t write(int fd, const void *data, size_t size) { step('w'); return REAL(write)(fd, data, size); }
int ftruncate(int fd, off_t size) { step('t'); return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { step('t'); return REAL(ftruncate64)(fd, size); }
int fsync(int fd) { step('s'); return REAL(fsync)(fd); }
int fdatasync(int fd) { step('s'); return REAL(fdatasync)(fd); }
int unlink(const char *path) { step('u'); return REAL(unlink)(path); }
int link(const char *from, const char *to) { step('l'); return REAL(link)(from, to); }
int rename(const char *from, const char *to) { step('r'); return REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { step('m'); return REAL(mkdir)(path, mode); }
