"""Settings of the control half: files, `PIKO_` variables and arguments into one frozen value."""

from piko_flow.settings.loading import load_settings
from piko_flow.settings.model import SettingRow, Settings
from piko_flow.settings.sources import SettingProblem, SettingsRefused, UnknownSetting

__all__ = ["SettingProblem", "SettingRow", "Settings", "SettingsRefused", "UnknownSetting", "load_settings"]
