// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a command while the programs of a BPF object file are attached; ends as the command does.
 *
 *     ebee-refuse refuse.bpf.o COMMAND...
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **values)
{
    struct bpf_object *object;
    struct bpf_program *program;
    int status;
    pid_t child;

    if (count < 3) {
        fputs("usage: ebee-refuse OBJECT COMMAND...\n", stderr);
        return 64;
    }
    object = bpf_object__open_file(values[1], NULL);
    if (!object || bpf_object__load(object)) {
        fprintf(stderr, "load %s: %s\n", values[1], strerror(errno));
        return 69;
    }
    bpf_object__for_each_program(program, object)
    {
        if (!bpf_program__attach(program)) {
            fprintf(stderr, "attach %s: %s\n", bpf_program__name(program), strerror(errno));
            return 69;
        }
    }
    child = fork();
    if (child == 0) {
        execvp(values[2], values + 2);
        perror(values[2]);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("ebee-refuse");
        return 71;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
