/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is known of a file that is about to be deleted. */
#ifndef EBEE_VICTIM_BPF_H
#define EBEE_VICTIM_BPF_H

#include "record.bpf.h"

#define S_IFMT 0170000
#define S_IFDIR 0040000
/* include/uapi/linux/magic.h */
#define BTRFS_SUPER_MAGIC 0x9123683e
#define EXT4_SUPER_MAGIC 0xef53
#define F2FS_SUPER_MAGIC 0xf2f52010
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define XFS_SUPER_MAGIC 0x58465342

/* Reads the time of birth from the struct of a filesystem that `inode` is a member of, where the kernel's types have it. */
#define READ_CREATED(victim, inode, type, member, field)                                                     \
	do {                                                                                                 \
		if (bpf_core_field_exists(((type *)0)->field)) {                                             \
			type *info = (void *)(inode)-bpf_core_field_offset(type, member);                    \
			(victim)->created_seconds = BPF_CORE_READ(info, field.tv_sec);                       \
			(victim)->created_nanoseconds = BPF_CORE_READ(info, field.tv_nsec);                  \
			(victim)->flags |= EBEE_CREATED_KNOWN;                                               \
		}                                                                                            \
	} while (0)

static __always_inline void read_victim(struct ebee_victim *victim, struct inode *inode)
{
	struct inode___before_6_11 *before_6_11 = (void *)inode;
	struct inode___before_6_7 *before_6_7 = (void *)inode;

	victim->inode = BPF_CORE_READ(inode, i_ino);
	victim->size = BPF_CORE_READ(inode, i_size);
	victim->device = BPF_CORE_READ(inode, i_sb, s_dev);
	victim->mode = BPF_CORE_READ(inode, i_mode);
	victim->owner = BPF_CORE_READ(inode, i_uid.val);
	victim->group = BPF_CORE_READ(inode, i_gid.val);
	victim->links = BPF_CORE_READ(inode, i_nlink);
	victim->flags = EBEE_VICTIM_KNOWN;
	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		victim->mtime_seconds = BPF_CORE_READ(inode, i_mtime_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(inode, i_mtime_nsec);
	} else if (bpf_core_field_exists(before_6_11->__i_mtime)) {
		victim->mtime_seconds = BPF_CORE_READ(before_6_11, __i_mtime.tv_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(before_6_11, __i_mtime.tv_nsec);
	} else {
		victim->mtime_seconds = BPF_CORE_READ(before_6_7, i_mtime.tv_sec);
		victim->mtime_nanoseconds = BPF_CORE_READ(before_6_7, i_mtime.tv_nsec);
	}
	/* The time of birth is the filesystem's own: known where it is built in, or its module was loaded first. */
	switch (BPF_CORE_READ(inode, i_sb, s_magic)) {
	case EXT4_SUPER_MAGIC:
		READ_CREATED(victim, inode, struct ext4_inode_info, vfs_inode, i_crtime);
		/* The size of a directory is set to 0 before anything shows us that it goes (kernel: ext4_rmdir()); not so this. */
		if (!victim->size && (victim->mode & S_IFMT) == S_IFDIR) {
			struct ext4_inode_info *info =
				(void *)inode - bpf_core_field_offset(struct ext4_inode_info, vfs_inode);

			if (bpf_core_field_exists(info->i_disksize))
				victim->size = BPF_CORE_READ(info, i_disksize);
			else
				victim->flags |= EBEE_SIZE_UNKNOWN;
		}
		break;
	case TMPFS_MAGIC:
		READ_CREATED(victim, inode, struct shmem_inode_info, vfs_inode, i_crtime);
		break;
	case XFS_SUPER_MAGIC:
		READ_CREATED(victim, inode, struct xfs_inode, i_vnode, i_crtime);
		break;
	case F2FS_SUPER_MAGIC:
		READ_CREATED(victim, inode, struct f2fs_inode_info, vfs_inode, i_crtime);
		break;
	case BTRFS_SUPER_MAGIC:
		READ_CREATED(victim, inode, struct btrfs_inode___before_6_9, vfs_inode, i_otime);
		if (bpf_core_field_exists(((struct btrfs_inode *)0)->i_otime_sec)) {
			struct btrfs_inode *info =
				(void *)inode - bpf_core_field_offset(struct btrfs_inode, vfs_inode);

			victim->created_seconds = BPF_CORE_READ(info, i_otime_sec);
			victim->created_nanoseconds = BPF_CORE_READ(info, i_otime_nsec);
			victim->flags |= EBEE_CREATED_KNOWN;
		}
		break;
	}
}

#endif
