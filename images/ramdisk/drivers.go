package ramdisk

// drivers is the list of modules that a ramdisk carries, with all they need:
// what a server's own network ports, disks and controllers ask for, and what
// the scout uses itself. A name that a kernel does not have is left out and
// said in the manifest. Wireless, sound, graphics and file systems that the
// scout never mounts stay out.
func drivers() []string {
	var all []string
	for _, g := range [][]string{virtual(), network(), disks(), usb(), platform(), scoutsOwn()} {
		all = append(all, g...)
	}
	return all
}

// virtual hardware. virtio_pci is a dependency of none of its devices.
func virtual() []string {
	return []string{
		"virtio_pci", "virtio_mmio", "virtio_net", "virtio_blk", "virtio_scsi", "virtio_rng",
		"vmxnet3", "vmw_pvscsi", "hv_vmbus", "hv_netvsc", "hv_storvsc", "xen_netfront", "xen_blkfront",
	}
}

// network ports, by maker: Intel, Broadcom, Mellanox, QLogic and Marvell,
// Realtek, Chelsio, Emulex, Solarflare, Amazon, Cisco, Pensando, Aquantia and
// Atheros, Huawei and HiSilicon, Netronome, AMD, Cavium; then what rides on them.
func network() []string {
	return []string{
		"e1000", "e1000e", "igb", "igc", "ixgbe", "ixgbevf", "i40e", "iavf", "ice", "fm10k",
		"tg3", "bnx2", "bnx2x", "bnxt_en",
		"mlx4_en", "mlx5_core", "mlxfw",
		"qede", "qlcnic", "netxen_nic", "sky2", "skge",
		"r8169", "8139cp", "8139too", "realtek",
		"cxgb4", "be2net", "sfc", "ena", "enic", "ionic",
		"atlantic", "alx", "atl1c", "hinic", "hns3", "hclge", "nfp", "amd_xgbe", "thunder_bgx", "nicvf", "liquidio",
		"8021q", "bonding", "broadcom", "marvell", "libphy", "af_packet",
	}
}

// disks: NVMe, SATA and IDE, SAS and RAID controllers, Fibre Channel, and the
// upper layers that make block devices of them.
func disks() []string {
	return []string{
		"nvme", "ahci", "ata_piix", "ata_generic", "sata_nv", "sata_sil24", "sata_mv", "pata_amd",
		"megaraid_sas", "mpt3sas", "mpi3mr", "mptsas", "mptspi", "smartpqi", "hpsa", "aacraid",
		"pm80xx", "isci", "mvsas", "arcmsr", "3w_sas", "hisi_sas_v3_hw", "esas2r", "sym53c8xx",
		"qla2xxx", "lpfc",
		"sd_mod", "sr_mod", "sg", "ses", "vmd",
		"mmc_block", "sdhci_pci", "sdhci_acpi",
	}
}

func usb() []string {
	return []string{
		"xhci_pci", "xhci_hcd", "ehci_pci", "ehci_hcd", "uhci_hcd", "ohci_pci", "ohci_hcd",
		"usb_storage", "uas", "usbhid", "hid_generic",
		"cdc_ether", "cdc_ncm", "rndis_host", "r8152", "ax88179_178a", "asix",
	}
}

// platform: what is asked about the board itself.
func platform() []string {
	return []string{
		"ipmi_si", "ipmi_devintf", "ipmi_ssif", "tpm_tis", "tpm_crb", "tpm_tis_spi",
		"i2c_i801", "i2c_piix4", "wmi", "mei_me",
	}
}

// scoutsOwn: EFI variables, and the file systems and names of a boot medium.
func scoutsOwn() []string {
	return []string{
		"efivarfs", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "isofs",
		"crc32c_generic", "crc32c_intel", "crct10dif_pclmul",
	}
}

// companions is what a driver asks the kernel to load by name while it runs.
// There is no modprobe in the ramdisk to answer that, so the tables say it as a
// soft dependency: the driver first, then its companion.
func companions() map[string][]string {
	return map[string][]string{
		"mlx4_core": {"mlx4_en"},
		"ipmi_si":   {"ipmi_devintf"},
	}
}
